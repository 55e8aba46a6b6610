import csv
import io
import json

import duckdb
import fake_scorer
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.query import query, render
from jobs.score import score

HOSTILE = "else/[red]:smile: \x1b[31mred\x07\x9b2J\u202e.jpg"
FORMULA = "else/=1+2.jpg"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("query")
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    listed = [*samples.members(40), (FORMULA, samples.jpeg(91)), (HOSTILE, samples.jpeg(92))]
    lot = samples.write_tar(folder / "lot.tar", listed)
    settings = ScoreSettings((lot,), str(folder / "model.npz"), str(folder / "out"), "serial", shard_size=16)
    score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    return folder / "out"


@pytest.fixture
def ask(out):
    return lambda sql, form="json": render(query(str(out), sql), form)


def test_the_rows_are_the_table_scores(ask, out):
    assert (
        json.loads(ask('SELECT * EXCLUDE lot_shift FROM scores ORDER BY "index"'))
        == samples.rows(out).to_pylist()
    )


def test_counts_what_it_is_asked_for(ask):
    sql = "SELECT status, count(*) AS n FROM scores GROUP BY status ORDER BY status"
    assert ask(sql, "csv") == '"status","n"\n"ignored",1\n"ok",38\n"rejected",3\n'
    assert json.loads(ask(sql)) == [
        {"status": "ignored", "n": 1},
        {"status": "ok", "n": 38},
        {"status": "rejected", "n": 3},
    ]
    table = ask(sql, "table").splitlines()
    assert [line.strip("│┃ ").split() for line in table if line[0] in "│┃"] == [
        ["status", "┃", "n"],
        ["ignored", "│", "1"],
        ["ok", "│", "38"],
        ["rejected", "│", "3"],
    ]


@pytest.mark.parametrize("sql", ["WITH few AS (FROM scores LIMIT 3) FROM few", "FROM scores LIMIT 3"])
def test_other_forms_of_one_select_are_taken(ask, sql):
    assert len(json.loads(ask(sql))) == 3


def test_no_rows(ask):
    sql = "SELECT member, ncc FROM scores WHERE status = 'none'"
    assert ask(sql, "csv") == '"member","ncc"\n'
    assert json.loads(ask(sql)) == []
    assert "member" in ask(sql, "table")


def test_a_job_without_parts_has_an_empty_table(tmp_path, out):
    (tmp_path / "_job.json").write_bytes((out / "_job.json").read_bytes())
    assert query(str(tmp_path), "SELECT * FROM scores").num_rows == 0


def test_columns_of_one_name_stay_apart(ask):
    sql = "SELECT 1 AS x, 2 AS x, 3 AS x_1"
    assert json.loads(ask(sql)) == [{"x": 1, "x_1": 2, "x_1_1": 3}]
    assert ask(sql, "csv").splitlines()[1] == "1,2,3"
    assert ask(sql, "table").splitlines()[-2].split() == ["│", "1", "│", "2", "│", "3", "│"]


def refuse_constant(word):
    raise AssertionError(f"{word} is no JSON")


def test_json_is_strict_and_its_numbers_are_numbers(ask):
    told = ask("SELECT 'nan'::DOUBLE AS a, ['inf'::DOUBLE, 1] AS b, sum(1) AS c, 1.5::DECIMAL(4, 2) AS d")
    (row,) = json.loads(told, parse_constant=refuse_constant)
    assert row == {"a": None, "b": [None, 1.0], "c": 1, "d": 1.5}


def test_lists_and_structures_are_json_in_csv(ask):
    told = ask("SELECT [1, 2] AS l, {'a': 'x'} AS s, NULL::INTEGER[] AS n, 5 AS i", "csv")
    assert list(csv.reader(io.StringIO(told)))[1] == ["[1, 2]", '{"a": "x"}', "", "5"]


# Names in archives are others' words


def test_the_table_shows_hostile_names_as_they_are_spelt(ask):
    shown = ask("SELECT member FROM scores WHERE member LIKE '%smile%'", "table")
    assert r"else/[red]:smile: \x1b[31mred\x07\x9b2J\u202e.jpg" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_the_table_shows_hostile_column_names_as_they_are_spelt(ask):
    shown = ask('SELECT 1 AS "[red]\x1b[31m"', "table")
    assert r"[red]\x1b[31m" in shown
    assert "\x1b" not in shown


def test_csv_and_json_hold_names_unchanged(ask):
    sql = "SELECT member FROM scores WHERE folder = 'else' ORDER BY member"
    names = [row["member"] for row in json.loads(ask(sql))]
    assert {HOSTILE, FORMULA} <= set(names)
    assert [row[0] for row in csv.reader(io.StringIO(ask(sql, "csv")))][1:] == names


def test_long_cells_are_shown_whole(ask):
    assert ask("SELECT repeat('ab', 200) AS long", "table").count("ab") == 200


# What the SQL cannot do


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM read_csv_auto('{path}')",
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_blob('{path}')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM read_json('{path}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{path}'",
        "SELECT * FROM parquet_scan('{path}')",
        "SELECT * FROM query('FROM read_csv(''{path}'')')",
        "SELECT count(*) FROM scores WHERE member IN (SELECT content FROM read_text('{path}'))",
    ],
)
def test_reads_no_file(ask, secret, sql):
    plain = sql.format(path=secret, folder=secret.parent)
    with pytest.raises(Refusal) as refused:
        ask(plain)
    assert "\n" not in str(refused.value)


def test_what_the_files_hold_is_there_for_one_who_may(secret):
    """The refusals above are the locks' doing, not a wrong path's."""
    assert duckdb.read_csv(str(secret)).fetchall() == [(1, 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY scores TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/new.db'",
        "EXPORT DATABASE '{folder}/new'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "PRAGMA database_list",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW scores",
        "DELETE FROM scores",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY scores TO '{folder}/out.csv'",
        "EXPLAIN ANALYZE SELECT 1",
        "",
        ";",
        "SELECT",
        "no SQL at all",
        "SELECT * FROM other",
        "SELECT nothing FROM scores",
        "SELECT member::INTEGER FROM scores",
    ],
)
def test_takes_one_select_and_nothing_else(ask, secret, out, sql):
    before = samples.names(secret.parent), samples.names(out)
    with pytest.raises(Refusal) as refused:
        ask(sql.format(folder=secret.parent))
    assert str(refused.value).startswith("query")
    assert "\n" not in str(refused.value)
    assert (samples.names(secret.parent), samples.names(out)) == before


def test_sees_nothing_but_the_rows(ask):
    told = json.loads(ask("SELECT table_name FROM information_schema.tables"))
    assert told == [{"table_name": "scores"}]
    # A variable of the program is no table.
    with pytest.raises(Refusal):
        ask("SELECT * FROM connection")


def test_refuses_what_is_no_job(tmp_path):
    with pytest.raises(Refusal, match="not a job folder"):
        query(str(tmp_path), "SELECT 1")


def test_refuses_an_unknown_format(out):
    with pytest.raises(Refusal, match="--format xml"):
        render(query(str(out), "SELECT 1"), "xml")
