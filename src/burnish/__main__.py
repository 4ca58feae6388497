"""`python -m burnish`, for where the script is not on the path."""

from burnish.cli.main import main

main()
