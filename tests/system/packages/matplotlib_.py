"""A figure as PNG and as SVG."""

import io
import struct

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(4, 3), dpi=100)
axes.plot([1, 2, 3, 4], [1, 4, 2, 3], label="a line")
axes.set_title("A title")
axes.legend()
png = io.BytesIO()
figure.savefig(png, format="png")
data = png.getvalue()
print(data[:8] == b"\x89PNG\r\n\x1a\n", struct.unpack(">II", data[16:24]), len(data) > 5000)
svg = io.StringIO()
figure.savefig(svg, format="svg")
text = svg.getvalue()
print(text.startswith("<?xml"), text.rstrip().endswith("</svg>"), "line2d" in text)
figure.savefig("plot.pdf")
with open("plot.pdf", "rb") as file:
    print(file.read(5))
