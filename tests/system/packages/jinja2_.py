"""Templates: loops, filters, inheritance, escaping, a sandbox."""

from jinja2 import DictLoader, Environment, select_autoescape

environment = Environment(
    loader=DictLoader(
        {
            "base.html": "<b>{% block body %}{% endblock %}</b>",
            "page.html": "{% extends 'base.html' %}{% block body %}"
            "{% for name in names|sort %}{{ loop.index }}:{{ name|upper }} {% endfor %}{% endblock %}",
        }
    ),
    autoescape=select_autoescape(),
)
print(environment.get_template("page.html").render(names=["b<", "a"]))
