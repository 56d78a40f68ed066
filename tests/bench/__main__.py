"""The measurements that need nothing but the repository: `python -m tests.bench`."""

from tests.bench import i3d_speed, memory

if __name__ == "__main__":
    i3d_speed.main()
    memory.main()
