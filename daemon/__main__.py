"""`python daemon COMMAND ...` runs stillsift from a clone, without installing the project.

Python puts this folder first on the module path when it runs it, so `stillsift` is the package
beside this file. The dependencies must be there already, as in the .venv that ./demo makes.
"""

import sys

from stillsift.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
