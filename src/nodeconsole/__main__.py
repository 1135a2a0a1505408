"""`python -m nodeconsole`"""

from nodeconsole.launcher import main

if __name__ == "__main__":
    main()
