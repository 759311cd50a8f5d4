"""The guest's own Python: what runs inside the glass, around the user's program.

The host calls :func:`vitrine.runner.prepare` once, when the interpreter has started, and then
:func:`vitrine.runner.run` (or :func:`vitrine.runner.step`, see there) in each cell. Everything
here uses the standard library alone and imports of it as little as the program at hand needs,
because a cold start is measured in milliseconds.

The program that runs between our calls may replace anything it can reach: builtins, modules,
``sys.stdout``. Each module here therefore sets its own ``__builtins__`` to ``BUILTINS``, a copy
made before the program ran, and keeps references of its own to the functions it needs.
"""

import builtins

BUILTINS = dict(vars(builtins))
