"""Each family of formats on a tiny file by hand, as a folder and as a file."""

from pathlib import Path

import pytest

from recollect.data import FORMATS, read

FOLDERS: dict[str, dict[str, str]] = {
    "ml-100k": {
        "u.data": "2\t1\t3\t200\n1\t1\t5\t100\n1\t2\t4\t200\n",
        "u.item": "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1" + "|0" * 13 + "\n"
        "2|Amélie (2001)|||http://x|0|0|0|0|0|1" + "|0" * 13 + "\n",
        "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    },
    "ml-1m": {
        "ratings.dat": "2::1::3::200\n1::1::5::100\n1::2::4::200\n",
        "movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Amélie (2001)::Comedy\n",
        "users.dat": "1::M::25::12::85711\n2::F::56::0::94043\n",
    },
    "ml-latest": {
        "ratings.csv": "userId,movieId,rating,timestamp\n2,1,3.0,200\n1,1,5.0,100\n1,2,4.0,200\n",
        "movies.csv": "movieId,title,genres\n"
        '1,"Toy Story (1995)",Animation|Comedy\n2,Amélie (2001),(no genres listed)\n',
    },
    "movietweetings": {
        "ratings.dat": "2::0114709::3::200\n1::0114709::10::100\n1::0211915::8::200\n",
        "movies.dat": "0114709::Toy Story (1995)::Animation|Comedy\n0211915::Amélie (2001)::Comedy\n",
    },
    "collm": {
        "interactions.csv": "uid,iid,label,timestamp,title,not_cold,split\n"
        '2,1,0,200,"Toy Story (1995)",1,test\n1,1,1,100,"Toy Story (1995)",1,train\n1,2,1,200,Amélie (2001),0,valid\n',
    },
    "csv": {
        "events.csv": "user_id;Item ID;When it was;time\n2;1;x;200\n1;1;x;100\n1;2;x;200\n",
        "items.csv": "id,name,category,year\n1,Toy Story,Animation; Comedy,1995\n2,Amélie,Comedy,2001\n",
        "users.csv": "user,age\n1,24\n2,53\n",
    },
    "jsonl": {
        "log.jsonl": '{"user": 2, "item": 1, "time": 200, "rating": 3}\n'
        '{"user": 1, "item": 1, "time": 100, "rating": 5}\n{"user": 1, "item": "2", "time": 200, "rating": 4.0}\n',
        "items.jsonl": '{"id": 1, "title": "Toy Story (1995)", "genres": ["Animation", "Comedy"]}\n'
        '{"id": 2, "title": "Amélie (2001)", "genres": null}\n',
    },
}
LATIN = {"ml-100k", "ml-1m"}


@pytest.fixture
def folder_of(tmp_path):
    """Write the files of a format and give their folder."""

    def write(name: str) -> Path:
        for file, text in FOLDERS[name].items():
            (tmp_path / file).write_text(text, encoding="latin-1" if name in LATIN else "utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("name", FOLDERS)
def test_format_is_detected_and_read(folder_of, name):
    found, facts = read(folder_of(name), strict=True)
    assert (facts.format, facts.rows_read, facts.rows_bad) == (name, 3, 0)
    log = found.log
    assert (log.time.tolist(), log.user.tolist(), log.item.tolist()) == ([100, 200, 200], [0, 0, 1], [0, 1, 0])
    assert log.label.tolist() == ([True, True, True] if name == "csv" else [True, True, False])
    assert [title.removesuffix(" (1995)").removesuffix(" (2001)") for title in found.catalog.titles] == [
        "Toy Story",
        "Amélie",
    ]
    assert found.catalog.years.tolist() == [1995, 2001]
    assert ("Comedy" in found.catalog.genres[0]) == (name != "collm")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_is_as_good_as_its_folder(folder_of, name):
    folder = folder_of(name)
    by_file, facts = read(folder / next(iter(FOLDERS[name])))
    assert facts.format == name
    assert by_file.catalog.titles == read(folder)[0].catalog.titles


def test_every_format_has_an_example():
    assert set(FORMATS) - set(FOLDERS) == {"parquet"}  # has its own test: no text to write by hand


def test_attributes_of_users(folder_of):
    users = read(folder_of("ml-1m"))[0].users
    assert users.attributes == {
        "gender": ("M", "F"),
        "age": ("25-34", "56 or older"),
        "occupation": ("programmer", "other"),
        "zip": ("85711", "94043"),
    }


def test_attributes_of_users_with_named_columns(folder_of):
    assert read(folder_of("csv"))[0].users.attributes == {"age": ("24", "53")}


def test_encoding_is_detected_and_said(folder_of):
    found, facts = read(folder_of("ml-1m"))
    assert facts.encoding == "utf-8, latin-1 in movies.dat"
    assert found.catalog.titles[1] == "Amélie (2001)"


def test_parts_of_the_source(folder_of):
    part = read(folder_of("collm"))[0].log.part
    assert part is not None
    assert part.tolist() == [0, 1, 2]


def test_genres_of_flags(folder_of):
    assert read(folder_of("ml-100k"))[0].catalog.genres == (("Animation", "Children's", "Comedy"), ("Comedy",))


@pytest.mark.parametrize(
    ("name", "rows", "users", "items", "likes"),
    [
        ("movietweetings", 141_695, 21_081, 22_438, 0.5),
        ("ml-latest-small", 100_004, 671, 9_125, 0.516),
        ("ml-1m", 903_207, 6_040, 3_883, 0.579),
        ("ml-1m-collm", 44_292, 803, 3_199, 0.535),
    ],
)
def test_real_logs(real_log, name, rows, users, items, likes):
    facts = read(real_log(name), strict=True)[1]
    assert (facts.rows_kept, facts.users, facts.items, facts.untitled) == (rows, users, items, 0)
    assert facts.like_share == pytest.approx(likes, abs=0.001)
