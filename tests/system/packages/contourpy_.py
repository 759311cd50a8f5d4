"""Lines and filled areas; a C++ exception comes out as a Python one."""

import contourpy
import numpy as np

x, y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
generator = contourpy.contour_generator(x, y, x + y)
lines = generator.lines(1.0)
print(len(lines), lines[0].shape, len(generator.filled(0.5, 1.5)[0]))
for name in ("mpl2005", "mpl2014", "serial", "threaded"):
    print(name, len(contourpy.contour_generator(x, y, x * y, name=name).lines(0.3)))
try:
    contourpy.contour_generator(x, y, x + y).filled(1.5, 0.5)
except ValueError as error:
    print(error)
