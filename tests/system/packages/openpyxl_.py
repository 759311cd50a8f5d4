"""Write a workbook, read it back."""

import datetime

from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference

book = Workbook()
sheet = book.active
sheet["A1"] = 42
sheet.append([1, 2, 3])
sheet["A3"] = datetime.datetime(2024, 5, 6)
sheet["B3"] = "=SUM(A2:C2)"
chart = BarChart()
chart.add_data(Reference(sheet, min_col=1, min_row=2, max_col=3))
sheet.add_chart(chart, "E1")
book.save("sample.xlsx")
again = load_workbook("sample.xlsx").active
print([[cell.value for cell in row] for row in again["A1:C3"]])
