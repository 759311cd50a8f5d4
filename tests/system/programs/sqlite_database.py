"""A real database: in a file, with an index, a join, a window function, a trigger, full text."""

import os
import sqlite3
import tempfile

folder = tempfile.mkdtemp()
path = os.path.join(folder, "shop.db")
with sqlite3.connect(path) as db:
    db.executescript(
        """
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE sale (id INTEGER PRIMARY KEY, customer REFERENCES customer, cents INTEGER);
        CREATE TABLE log (entry TEXT);
        CREATE INDEX sale_by_customer ON sale (customer);
        CREATE TRIGGER note AFTER INSERT ON sale WHEN new.cents > 9000
            BEGIN INSERT INTO log VALUES ('large: ' || new.id); END;
        """
    )
    db.executemany("INSERT INTO customer (name) VALUES (?)", [(f"c{i}",) for i in range(20)])
    db.executemany(
        "INSERT INTO sale (customer, cents) VALUES (?, ?)",
        [(i % 20 + 1, i * 7919 % 10007) for i in range(5000)],
    )
query = """
    SELECT name, count(*), sum(cents), rank() OVER (ORDER BY sum(cents) DESC)
    FROM sale JOIN customer ON customer.id = customer GROUP BY name ORDER BY 4 LIMIT 5
"""
for row in db.execute(query):
    print(row)
print(db.execute("SELECT count(*), min(entry), max(entry) FROM log").fetchone())
try:
    db.execute("INSERT INTO customer (name) VALUES ('c1')")
except sqlite3.IntegrityError as error:
    print(error)
db.create_function("double", 1, lambda x: 2 * x)
print(db.execute("SELECT double(21)").fetchone())
db.close()
again = sqlite3.connect(path)
print(again.execute("PRAGMA integrity_check").fetchone(), len(list(again.iterdump())))
