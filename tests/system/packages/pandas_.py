"""A frame from CSV: grouped, pivoted, merged, resampled, with time zones."""

import io

import pandas as pd

text = "day,city,sold\n2024-01-01,Bern,3\n2024-01-01,Oslo,5\n2024-01-02,Bern,4\n2024-02-01,Oslo,1\n"
frame = pd.read_csv(io.StringIO(text), parse_dates=["day"])
print(frame.groupby("city")["sold"].agg(["sum", "mean"]).to_string())
print(frame.pivot_table(index="day", columns="city", values="sold", fill_value=0).shape)
monthly = frame.set_index("day")["sold"].resample("MS").sum()
print(monthly.to_dict())
other = pd.DataFrame({"city": ["Bern", "Oslo"], "land": ["CH", "NO"]})
print(frame.merge(other).query("land == 'NO'")["sold"].tolist())
print(pd.Timestamp("2024-07-01 12:00", tz="Europe/Berlin").tz_convert("America/New_York"))
