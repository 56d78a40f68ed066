"""`python -m ascnet_cli` is `ascnet`: what `torchrun -m ascnet_cli` starts."""

from ascnet_cli.cli.app import main

if __name__ == "__main__":
    main()
