"""Feeds: columns of other shops' exports, line numbers of faults, running twice."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from personalization.catalog.models import Product


def run(path: Path, **options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("import_feed", str(path), stdout=out, stderr=err, **options)
    return out.getvalue().strip(), err.getvalue()


CSV = """id,name,link,price,currency,availability,category,Colour
mug,"Mug, blue",https://shop.test/mug,4.50,EUR,in stock,kitchen|mugs,blue
cup,Cup,,x,EUR,maybe,,
pan,Pan,javascript:1,9,EUR,0,,
"""


@pytest.mark.django_db
def test_csv__foreign_columns__understood_and_faults_have_lines(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(CSV, encoding="utf-8-sig")

    said, faults = run(path)

    mug = Product.objects.get()
    assert (mug.key, mug.title, mug.price_minor, mug.available) == ("mug", "Mug, blue", 450, True)
    assert (mug.categories, mug.attributes) == (["kitchen", "mugs"], {"colour": "blue"})
    assert said == "1 created, 0 updated, 0 unchanged, 2 rejected"
    assert "feed.csv:3: available" in faults
    assert "feed.csv:4: url" in faults


@pytest.mark.django_db
def test_jsonl__broken_lines__the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_text(
        '{"key": "a", "title": "A"}\n\n{"key": \n'
        + "x" * 200_000
        + '\n{"key": "b", "title": "B"}\n'
    )

    said, faults = run(path)
    again, _ = run(path)

    assert said == "2 created, 0 updated, 0 unchanged, 2 rejected"
    assert again == "0 created, 0 updated, 2 unchanged, 2 rejected"
    assert "feed.jsonl:3: a product is an object" in faults


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("feed.csv", "title,price\na,1\n", "must name the columns"),
        ("feed.xml", "<a/>", "no feed format"),
        ("absent.csv", None, "No such file"),
        ("feed.csv", 'id,title\na,"' + "x" * 200_000 + '"\n', "line"),
    ],
)
def test_import__not_a_feed__says_why(
    tmp_path: Path, name: str, body: str | None, words: str
) -> None:
    path = tmp_path / name
    if body is not None:
        path.write_text(body)

    with pytest.raises(CommandError, match=words):
        run(path)
