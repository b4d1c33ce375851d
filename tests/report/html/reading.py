"""Reads a page as a browser would, as far as the tests need it: its elements, and the text of each."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, dict(attributes), parent
        self.children, self.words = [], []

    def all(self, tag=None):
        """This element's descendants, in order."""
        for child in self.children:
            if tag in {None, child.tag}:
                yield child
            yield from child.all(tag)

    @property
    def text(self):
        return "".join(each if isinstance(each, str) else each.text for each in self.words)


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.now = Element("root", (), None)

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs, self.now)
        self.now.children.append(element)
        self.now.words.append(element)
        if tag not in VOID:
            self.now = element

    def handle_startendtag(self, tag, attrs):
        element = Element(tag, attrs, self.now)
        self.now.children.append(element)

    def handle_endtag(self, tag):
        assert self.now.tag == tag, f"</{tag}> closes <{self.now.tag}>"
        self.now = self.now.parent

    def handle_data(self, data):
        self.now.words.append(data)


def read(page):
    """The root of a page's elements; every element is closed where it should be."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.now is reader.root
    return reader.root


def sections(page):
    """{id: section} of a page."""
    return {each.attributes["id"]: each for each in read(page).all("section")}
