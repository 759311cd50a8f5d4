"""A statistical plot from a frame."""

import io

import pandas as pd
import seaborn as sns

sns.set_theme()
frame = pd.DataFrame({"x": [1, 2, 3, 4, 5, 6], "y": [2, 1, 4, 3, 6, 5], "kind": list("ababab")})
grid = sns.relplot(data=frame, x="x", y="y", hue="kind")
axes = sns.regplot(data=frame, x="x", y="y")
store = io.BytesIO()
grid.savefig(store, format="png")
print(grid.axes.shape, store.getvalue()[1:4], axes.get_xlabel())
