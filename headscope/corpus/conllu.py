"""Sentences of CoNLL-U with the slices of their text that the tagged words stand for, and their document's genre."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headscope.corpus.lines import Fault

_TEXT, _DOCUMENT = "# text =", "# newdoc"
_GENRE = re.compile(r"# *(?:meta::)?genre *=(.*)")
# What the names of documents begin with in UD's English Web Treebank, which marks genres in no other way.
_PREFIX = re.compile(r"(weblog|newsgroup|email|reviews|answers)-")
_NUMBER = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?")
_MOST = 10_000  # lines of a sentence


@dataclass(frozen=True)
class Sentence:
    """A sentence; `words` are (start, end, UPOS). `fault` says why it cannot be used, where it cannot.

    `genre`: of its document, by a comment `# genre =` or `# meta::genre =`, else by the document's name; None: none.
    """

    line: int
    text: str
    document: str | None
    genre: str | None
    words: tuple[tuple[int, int, str], ...]
    fault: str | None


@dataclass(frozen=True)
class _Form:
    """A word as it is written, with its tag: of a multi-word token, one of its words."""

    form: str
    tag: str
    space: bool  # a space follows, where the text is not given


def sentences(lines: Iterable[tuple[int, str | Fault]]) -> Iterator[Sentence]:
    """Sentences of numbered lines.

    A sentence without `# text` is put together from its forms. Where a form does not stand in the text, the words
    from there on have no tag.
    """
    block: list[tuple[int, str | Fault]] = []
    document: str | None = None
    genre: str | None = None
    documents = 0
    for number, line in lines:
        if isinstance(line, Fault) or line.strip():
            if len(block) <= _MOST:  # the rest is not held
                block.append((number, line))
            if isinstance(line, str) and line.startswith(_DOCUMENT):
                documents += 1
                document = line.partition("=")[2].strip() or f"document {documents}"
                named = _PREFIX.match(document)
                genre = named and named[1]
            elif isinstance(line, str) and (marked := _GENRE.match(line)):
                genre = marked[1].strip() or None
            continue
        if block:
            yield _sentence(block, document, genre)
            block = []
    if block:
        yield _sentence(block, document, genre)


def _sentence(block: list[tuple[int, str | Fault]], document: str | None, genre: str | None) -> Sentence:
    start = block[0][0]

    def faulty(fault: str) -> Sentence:
        return Sentence(start, "", document, genre, (), fault)

    if len(block) > _MOST:
        return faulty(f"no CoNLL-U: a sentence of more than {_MOST:,} lines")
    text: str | None = None
    forms: list[_Form] = []
    inside: list[_Form] = []  # the words of the multi-word token that is open
    last = 0  # the id of its last word
    whole = ""
    for _, line in block:
        if isinstance(line, Fault):
            return faulty(line.reason)
        if line.startswith("#"):
            if line.startswith(_TEXT):
                text = line.removeprefix(_TEXT).strip()
            continue
        cells = line.split("\t")
        if len(cells) != 10:
            return faulty("no CoNLL-U: a word needs ten columns")
        number, form, tag, misc = cells[0], cells[1], cells[3], cells[9]
        space = "SpaceAfter=No" not in misc.split("|")
        if "." in number:  # an empty node stands for nothing in the text
            continue
        first, dash, final = number.partition("-")
        if not _NUMBER.fullmatch(number):
            return faulty("no CoNLL-U: a word needs a number")
        if dash:
            whole, last, inside = form, int(final), []
            forms.append(_Form(form, "", space))
        elif int(first) <= last:
            inside.append(_Form(form, tag, False))
            if int(first) == last:
                forms = [*forms[:-1], *_split(forms[-1], whole, inside)]
        else:
            forms.append(_Form(form, tag, space))
    if text is None:
        text = "".join(form.form + " " * form.space for form in forms).strip()
    if not text:
        return faulty("empty")
    return Sentence(start, text, document, genre, tuple(_placed(text, forms)), None)


def _split(token: _Form, whole: str, words: list[_Form]) -> list[_Form]:
    """A multi-word token as its words where they spell it ("do" + "n't"); else as one, with the first word's tag."""
    if "".join(word.form for word in words) == whole:
        return [*words[:-1], _Form(words[-1].form, words[-1].tag, token.space)]
    return [_Form(whole, words[0].tag, token.space)]


def _placed(text: str, forms: list[_Form]) -> Iterator[tuple[int, int, str]]:
    cursor = 0
    for form in forms:
        start = text.find(form.form, cursor)
        if start < 0 or text[cursor:start].strip():
            return
        cursor = start + len(form.form)
        yield start, cursor, form.tag
