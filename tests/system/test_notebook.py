"""A notebook's worth of analysis in one session, through a real client.

A file goes in, is cleaned, grouped and fitted; a picture and a workbook come back. The data has the
shape of a public set, penguins of three islands.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import math
import random
import zipfile
from typing import Any

from driver import Program, clean_environment
from mcp import Client, StdioServerParameters
from pictures import unpack

SPECIES = {"Adelie": (38.8, 3700), "Chinstrap": (48.8, 3730), "Gentoo": (47.5, 5080)}
ISLANDS = ("Torgersen", "Biscoe", "Dream")
ROWS = 344
SLOPE = 85.0  # grams for each millimetre of bill, in every species


def make_penguins() -> tuple[str, list[tuple[str, float, float]]]:
    """The file, and what is in it when what cannot be used has been left out."""
    chance = random.Random(344)
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["species", "island", "bill_length_mm", "body_mass_g", "sex", "year"])
    kept = []
    for number in range(ROWS):
        species = chance.choice(sorted(SPECIES))
        bill, mass = SPECIES[species]
        length = round(chance.gauss(bill, 2.5), 1)
        weight = round(mass + SLOPE * (length - bill) + chance.gauss(0, 120))
        is_lost = number % 43 == 7
        shown = f" {species} Penguin " if number % 11 == 3 else species  # as people type it
        table.writerow(
            [
                shown,
                chance.choice(ISLANDS),
                "NA" if is_lost else length,
                "" if is_lost else weight,
                chance.choice(["male", "female", ""]),
                chance.choice([2007, 2008, 2009]),
            ]
        )
        if not is_lost:
            kept.append((species, length, float(weight)))
    return out.getvalue(), kept


def slope_of(rows: list[tuple[str, float, float]]) -> float:
    """The slope of a line through points, by least squares."""
    mean_x = math.fsum(x for _, x, _ in rows) / len(rows)
    mean_y = math.fsum(y for _, _, y in rows) / len(rows)
    above = math.fsum((x - mean_x) * (y - mean_y) for _, x, y in rows)
    return above / math.fsum((x - mean_x) ** 2 for _, x, _ in rows)


LOAD = """
import pandas as pd
penguins = pd.read_csv("penguins.csv")
penguins.shape
"""
CLEAN = """
penguins["species"] = penguins["species"].str.replace("Penguin", "").str.strip()
penguins["sex"] = penguins["sex"].fillna("unknown")
clean = penguins.dropna(subset=["bill_length_mm", "body_mass_g"])
{"kept": len(clean), "species": sorted(clean["species"].unique())}
"""
GROUP = """
means = clean.groupby("species")["body_mass_g"].agg(["mean", "count"]).round(2)
means
"""
FIT = """
from scipy import stats
fits = {name: stats.linregress(part["bill_length_mm"], part["body_mass_g"])
        for name, part in clean.groupby("species")}
{name: float(fit.slope) for name, fit in fits.items()}
"""
PLOT = """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(6, 4))
for name, part in clean.groupby("species"):
    axes.scatter(part["bill_length_mm"], part["body_mass_g"], s=9, label=name)
    x = part["bill_length_mm"].sort_values()
    axes.plot(x, fits[name].intercept + fits[name].slope * x)
axes.set(xlabel="bill length (mm)", ylabel="body mass (g)", title="Penguins")
axes.legend()
plt.show()
"""
WRITE = """
with pd.ExcelWriter("penguins.xlsx") as book:
    means.to_excel(book, sheet_name="means")
    clean.to_excel(book, sheet_name="penguins", index=False)
import os
os.path.getsize("penguins.xlsx") > 10_000
"""


def check_workbook(data: bytes, counts: dict[str, int]) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert book.testzip() is None
        names = book.namelist()
        assert "xl/workbook.xml" in names
        assert "xl/worksheets/sheet2.xml" in names
        texts = book.read("xl/workbook.xml") + book.read("xl/worksheets/sheet1.xml")
        shared = book.read("xl/sharedStrings.xml") if "xl/sharedStrings.xml" in names else b""
    assert b"means" in texts
    for species, count in counts.items():
        assert species.encode() in texts + shared
        assert f"<v>{count}</v>".encode() in texts


def test_an_analysis(vitrine: Program) -> None:
    penguins, rows = make_penguins()
    parameters = StdioServerParameters(
        command=str(vitrine.path),
        args=["stdio", "--timeout", "120"],
        env={**clean_environment(), "VITRINE_NO_SESSIONS": "0"},
    )

    async def talk() -> None:
        async with Client(parameters) as client:
            made = await client.call_tool("create_session", {})
            session = made.structured_content["session_id"]

            async def run(code: str, **more: Any) -> Any:
                arguments = {"python_code": code, "session_id": session, **more}
                result = await client.call_tool("run_python_code", arguments)
                assert not result.is_error, result.content[0].text
                return result

            loaded = await run(LOAD, files={"penguins.csv": penguins})
            assert loaded.structured_content["return_value"] == [ROWS, 6]

            cleaned = await run(CLEAN)
            assert cleaned.structured_content["return_value"] == {
                "kept": len(rows),
                "species": sorted(SPECIES),
            }

            counts = {name: sum(row[0] == name for row in rows) for name in SPECIES}
            grouped = (await run(GROUP)).content[0].text
            for name, count in counts.items():
                mean = math.fsum(row[2] for row in rows if row[0] == name) / count
                assert name in grouped
                assert f"{mean:.2f}".rstrip("0").rstrip(".") in grouped

            fits = (await run(FIT)).structured_content["return_value"]
            for name in SPECIES:
                expected = slope_of([row for row in rows if row[0] == name])
                assert math.isclose(fits[name], expected, rel_tol=1e-6)
                assert math.isclose(fits[name], SLOPE, rel_tol=0.35)

            [picture] = [item for item in (await run(PLOT)).content if item.type == "image"]
            assert picture.mime_type == "image/png"
            drawn = unpack(picture.data)
            assert drawn.width > 400
            assert len(drawn.colours()) > 50

            written = await run(WRITE)
            assert written.structured_content["return_value"] is True
            [file] = written.structured_content["files"]
            assert file["name"] == "penguins.xlsx"
            read = await client.read_resource(file["uri"])
            check_workbook(base64.b64decode(read.contents[0].blob), counts)

            closed = await client.call_tool("close_session", {"session_id": session})
            assert closed.structured_content == {"closed": True}

    asyncio.run(asyncio.wait_for(talk(), 400))
