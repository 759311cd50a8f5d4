"""A data set of ten thousand rows: written as CSV, read back, grouped, described."""

import csv
import io
import random
import statistics
from collections import defaultdict

rng = random.Random(2026)
table = io.StringIO(newline="")
writer = csv.DictWriter(table, ["city", "day", "degrees", "note"])
writer.writeheader()
for i in range(10000):
    city = rng.choice(["Bergen", "Cusco", "Đà Nẵng", "São Paulo, SP"])
    degrees = f"{rng.gauss(15, 8):.2f}"
    writer.writerow({"city": city, "day": i, "degrees": degrees, "note": 'a "quoted"\nline'})
table.seek(0)
cities = defaultdict(list)
for row in csv.DictReader(table):
    assert row["note"].count("\n") == 1
    cities[row["city"]].append(float(row["degrees"]))
for city, degrees in sorted(cities.items()):
    print(
        city,
        len(degrees),
        round(statistics.fmean(degrees), 6),
        round(statistics.stdev(degrees), 6),
        statistics.median(degrees),
        [round(cut, 4) for cut in statistics.quantiles(degrees, n=4)],
    )
x, y = cities["Bergen"][:500], cities["Cusco"][:500]
line = statistics.linear_regression(x, y)
print(round(line.slope, 9), round(line.intercept, 9), round(statistics.correlation(x, y), 9))
print(statistics.NormalDist.from_samples(x).overlap(statistics.NormalDist(15, 8)) > 0.9)
print(csv.Sniffer().sniff("a;b;c\n1;2;3\n").delimiter)
