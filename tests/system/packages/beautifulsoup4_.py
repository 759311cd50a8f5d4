"""Find things in a page that is not quite right."""

from bs4 import BeautifulSoup

page = """<html><head><title>The story</title><body><p class=story>Once <a href=/elsie id=link1>Elsie</a>,
<a href=/lacie id=link2>Lacie</a> and <a href=/tillie id=link3>Tillie</a>"""
soup = BeautifulSoup(page, "html.parser")
print(soup.title.string, [a["href"] for a in soup.find_all("a")])
print(soup.select_one("p.story > a:nth-of-type(2)").get_text(), soup.find(id="link3")["id"])
