"""The measurements that need nothing but the repository: `python -m tests.bench`.

That of evaluation compares with a loop over pandas tables, and is left out where pandas is not installed.
"""

import importlib.util

from tests.bench import evaluation_speed, flow_speed, i3d_speed, localization_speed, memory, training_speed

if __name__ == "__main__":
    localization_speed.main()
    training_speed.main()
    if importlib.util.find_spec("pandas"):
        evaluation_speed.main()
    i3d_speed.main()
    flow_speed.main()
    memory.main([])
