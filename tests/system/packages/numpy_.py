"""Arrays, broadcasting, linear algebra, random numbers from a seed, a structured array."""

import numpy as np

a = np.arange(15, dtype=np.int64).reshape(3, 5)
print(a.shape, a.ndim, a.dtype.name, a.size)
print(a.sum(axis=0), a[a % 2 == 0])
x = np.linalg.solve(np.array([[1, 2], [3, 5]]), np.array([1, 2]))
print(np.allclose(x, [-1.0, 1.0]))
print(np.fft.fft(np.ones(4)).real, np.sort(np.array([3, 1, 2]))[::-1])
print(np.random.default_rng(12345).integers(0, 10, 5))
people = np.array([("Rex", 9, 81.0), ("Fido", 3, 27.0)], dtype="U10,i4,f4")
print(people["f1"].mean(), np.char.upper(people["f0"]))
