"""Fit, predict, score: a pipeline, a forest, clusters."""

from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
print(round(accuracy_score(pipe.predict(X_test), y_test), 3))
print(
    RandomForestClassifier(random_state=0, n_estimators=20)
    .fit(X_train, y_train)
    .score(X_test, y_test)
    > 0.9
)
print(
    sorted(
        KMeans(n_clusters=2, n_init=3, random_state=0)
        .fit([[1, 2], [1, 4], [10, 2], [10, 4]])
        .cluster_centers_.tolist()
    )
)
