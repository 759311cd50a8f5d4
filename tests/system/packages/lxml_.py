"""Parse XML and HTML, XPath, XSLT, a schema; an http address is an error, not a crash."""

from lxml import etree, html

root = etree.fromstring("<root><a n='1'>x</a><a n='2'>y</a></root>")
print(
    root.xpath("//a[@n='2']/text()"), etree.tostring(root, pretty_print=True).decode().count("\n")
)
page = html.fromstring("<p>Hello <b>world<br>again")
print(page.text_content(), [child.tag for child in page.iter()])
style = etree.XSLT(
    etree.XML(
        "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        "<xsl:template match='/'><n><xsl:value-of select='count(//a)'/></n></xsl:template></xsl:stylesheet>"
    )
)
print(str(style(root)).strip().splitlines()[-1])
schema = etree.RelaxNG(
    etree.XML(
        "<element name='root' xmlns='http://relaxng.org/ns/structure/1.0'><zeroOrMore><element name='a'>"
        "<attribute name='n'/><text/></element></zeroOrMore></element>"
    )
)
print(schema.validate(root))
try:
    etree.parse("http://192.0.2.1/feed.xml")
except OSError as error:
    print("refused:", type(error).__name__)
try:
    etree.fromstring("<a><b></a>")
except etree.XMLSyntaxError as error:
    print(error.lineno, error.msg.split(":")[0])
