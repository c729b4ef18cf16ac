"""`python -m mesh.cli` is `lienthong`."""

from mesh.cli import main

if __name__ == "__main__":
    main()
