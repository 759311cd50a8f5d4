"""Integration, optimization, statistics, sparse matrices, signals, linear algebra."""

import numpy as np
from scipy import integrate, linalg, optimize, signal, sparse, special, stats

print(round(integrate.quad(lambda x: special.jv(2.5, x), 0, 4.5)[0], 6))
print(np.round(optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8, 1.9], method="BFGS").x, 3))
print(round(stats.ttest_ind([1, 2, 3, 4], [3, 4, 5, 6]).pvalue, 4), round(stats.norm.cdf(1.96), 4))
matrix = sparse.csr_matrix(([4.0, 3.0, 1.0], ([0, 1, 1], [0, 1, 0])), shape=(2, 2))
print(sparse.linalg.spsolve(matrix, np.array([8.0, 5.0])))
print(
    np.round(linalg.eigvalsh([[2.0, 1.0], [1.0, 2.0]]), 6), round(linalg.det([[1, 2], [3, 4]]), 6)
)
print(signal.find_peaks([0, 1, 0, 2, 0, 3, 0])[0])
