"""The command line: what it prints and writes, and one message without a traceback for bad input."""

import csv
import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from cells import PLANTED
from scipy import sparse
from threadpoolctl import threadpool_limits

import smash_gpu as smg
from smash_gpu import cli, evaluation

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
PNG = b"\x89PNG"


@pytest.fixture
def run(capsys):
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def data(adata, tmp_path):
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def changed(data, change):
    """The file with something else in it."""
    adata = ad.read_h5ad(data)
    change(adata)
    adata.write_h5ad(data)


def written(path, *lines, encoding="utf-8"):
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def find(run, data, *options):
    return run("find", data, "--groupby", "cell_type", *options)


def evaluate(run, data, genes, *options):
    return run("evaluate", data, "--groupby", "cell_type", "--genes", genes, *options)


def assert_one_message(result, *words):
    """Exit code 2, and on standard error one message with these words."""
    code, _, error = result
    assert code == 2
    assert "Traceback" not in error
    said = [line for line in error.splitlines() if not line.startswith("note: ")]
    assert sum(line.startswith("smash-gpu") for line in said) == 1
    for word in words:
        assert word in error


def test_find_prints_the_ledger_the_accuracy_and_the_markers_of_every_group(run, data):
    code, out, _ = find(run, data, "--n-top", PLANTED)
    assert code == 0
    assert "240 cells × 60 genes" in out
    assert "mitochondrial genes" in out
    assert "small loadings (inverse PCA" in out
    assert "Model rf: accuracy" in out
    for number, group in enumerate(("A", "B / b", "CD4+ T")):
        line = next(line for line in out.splitlines() if line.startswith(f"  {group} "))
        genes = [gene.strip() for gene in line.removeprefix(f"  {group} ").split(",")]
        assert set(genes) == {gene for gene in MARKERS if gene.startswith(f"MARKER{number}")}


def test_find_without_a_folder_writes_nothing(run, data):
    before = sorted(data.parent.iterdir()), data.read_bytes()
    assert find(run, data)[0] == 0
    assert (sorted(data.parent.iterdir()), data.read_bytes()) == before


def test_find_writes_what_the_package_returns(run, data, adata, tmp_path):
    folder = tmp_path / "a" / "b"
    code, out, _ = find(run, data, "--out", folder, "--n-genes", 12, "--random-state", 3, "--sample-key", "sample")
    assert code == 0
    smg.tl.smash(adata, "cell_type", random_state=3, sample_key="sample")
    names = {"markers.csv", "marker_panel.csv", "filters.csv", "params.json", "markers.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(name in out for name in names)
    expected = smg.get.markers(adata).astype({"group": str, "score": float})
    pd.testing.assert_frame_equal(pd.read_csv(folder / "markers.csv"), expected, rtol=1e-6)
    panel = pd.read_csv(folder / "marker_panel.csv")
    assert panel["name"].tolist() == smg.get.marker_panel(adata, 12)
    assert panel["rank"].tolist() == list(range(1, 13))
    pd.testing.assert_frame_equal(pd.read_csv(folder / "filters.csv"), adata.uns["smash"]["filters"])
    params = json.loads((folder / "params.json").read_text())
    assert (params["source"]["groupby"], params["source"]["sample_key"]) == ("cell_type", "sample")
    assert (params["importance"]["model"], params["importance"]["random_state"]) == ("rf", 3)
    assert params["versions"]["smash-gpu"] == smg.__version__
    assert (folder / "markers.png").read_bytes().startswith(PNG)


def test_a_panel_is_never_larger_than_the_genes_with_a_score(run, data, tmp_path):
    assert find(run, data, "--out", tmp_path / "out", "--n-genes", 1000)[0] == 0
    panel = pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"]
    assert panel.is_unique
    assert 9 <= len(panel) <= 60


def test_a_panel_found_can_be_evaluated(run, data, tmp_path):
    assert find(run, data, "--out", tmp_path, "--n-genes", 9)[0] == 0
    code, out, _ = evaluate(
        run, data, tmp_path / "marker_panel.csv", "--protocol", "paper", "--out", tmp_path / "judged"
    )
    assert code == 0
    assert "panel (9 genes)" in out
    assert "Protocol paper, 1 splits" in out
    table = pd.read_csv(tmp_path / "judged" / "evaluation.csv").set_index("metric")
    assert table.index.tolist() == list(evaluation.METRICS)
    assert table["n_genes"].eq(9).all()
    assert table.loc["misclassification", "mean"] < 0.05
    confusion = pd.read_csv(tmp_path / "judged" / "confusion.csv")
    assert set(confusion["true"]) == set(confusion["predicted"]) == {"A", "B / b", "CD4+ T"}
    assert confusion["cells"].sum() == 72
    assert (tmp_path / "judged" / "confusion.png").read_bytes().startswith(PNG)


def test_evaluate_gives_the_numbers_of_the_package(run, data, adata, tmp_path):
    lists = {"mine": ["MARKER0X", "NOISE20", "NOISE21"], "theirs": ["NOISE22", "NOISE23", "MARKER1X", "MARKER2X"]}
    files = [written(tmp_path / f"{name}.txt", *genes) for name, genes in lists.items()]
    options = ("--n-splits", 2, "--random-state", 5, "--sample-key", "sample", "--n-genes", 2, 3, "--n-random", 1)
    options += ("--thin", 0.5, "--dropout", 0.3, "--classifier", "knn", "logreg", "--out", tmp_path / "out")
    code, out, _ = run("evaluate", data, "--groupby", "cell_type", "--genes", *files, *options)
    assert code == 0
    smg.tl.evaluate(
        adata, "cell_type", genes=lists, n_splits=2, random_state=5, sample_key="sample", n_genes=[2, 3], n_random=1,
        thin=0.5, dropout=0.3, classifier=["knn", "logreg"],
    )  # fmt: skip
    tables = {"evaluation": smg.get.comparison(adata), "splits": smg.get.evaluation_splits(adata)}
    tables["differences"] = smg.get.differences(adata)
    for name, expected in tables.items():
        found = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6, check_dtype=False)
    groups = pd.read_csv(tmp_path / "out" / "groups.csv")
    expected = smg.get.group_metrics(adata, genes="theirs").astype({"group": str})
    found = groups[groups["genes"] == "theirs"].drop(columns="genes").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    pairs = pd.read_csv(tmp_path / "out" / "pairs.csv")
    expected = smg.get.unresolved_pairs(adata, genes="mine")
    found = pairs[pairs["genes"] == "mine"].drop(columns="genes").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    assert all(word in out for word in ("mine", "theirs", "random panels like mine", "logreg", "thin", "dropout"))


def test_a_selection_is_made_inside_every_split(run, data, adata, tmp_path):
    listed = written(tmp_path / "list.txt", *MARKERS)
    arguments = ("--genes", listed, "--select", "rf", "--n-genes", 3, 9, "--n-splits", 2, "--out", tmp_path / "out")
    code, out, error = run("evaluate", data, "--groupby", "cell_type", *arguments)
    assert code == 0, error
    assert "selection by rf" in out
    smg.tl.smash(adata, "cell_type")
    smg.tl.evaluate(adata, "cell_type", genes={"selection by rf": None}, n_genes=[3, 9], n_splits=2)
    found = pd.read_csv(tmp_path / "out" / "splits.csv")
    found = found[found["genes"] == "selection by rf"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, smg.get.evaluation_splits(adata), rtol=1e-6, check_dtype=False)


def test_the_panel_design_is_repeated_inside_every_split(run, data, adata, tmp_path):
    arguments = ("--select", "panel", "--n-genes", 3, 9, "--out", tmp_path / "out")
    code, out, error = run("evaluate", data, "--groupby", "cell_type", *arguments)
    assert code == 0, error

    def design(cells, n_genes):
        cells = cells.to_memory()
        smg.tl.panel(cells, "cell_type", n_genes=n_genes, nested=True)
        return smg.get.panel(cells)

    smg.tl.evaluate(adata, "cell_type", genes={"selection by panel": design}, n_genes=[3, 9])
    found = pd.read_csv(tmp_path / "out" / "splits.csv")
    pd.testing.assert_frame_equal(found, smg.get.evaluation_splits(adata), rtol=1e-6, check_dtype=False)


def test_nothing_to_judge_is_told(run, data):
    assert_one_message(run("evaluate", data, "--groupby", "cell_type"), "--genes", "--select")


def test_lists_in_files_of_one_name_are_told_apart(run, data, tmp_path):
    paths = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        paths.append(written(tmp_path / folder / "panel.txt", "MARKER0X", "MARKER1X"))
    code, out, error = run("evaluate", data, "--groupby", "cell_type", "--genes", *paths, "--protocol", "paper")
    assert code == 0, error
    assert all(str(path) in out for path in paths)


def test_lists_of_different_length_are_noted(run, data, tmp_path):
    paths = [written(tmp_path / "a.txt", "MARKER0X"), written(tmp_path / "b.txt", "MARKER0X", "MARKER1X")]
    code, _, error = run("evaluate", data, "--groupby", "cell_type", "--genes", *paths, "--protocol", "paper")
    assert code == 0
    assert "note: the lists differ in length (a 1, b 2)" in error


def test_genes_to_exclude_and_to_keep_are_read_from_files(run, data, tmp_path):
    def name_general_genes(adata):
        adata.var_names = ["RPL3", "MT-CO1", *adata.var_names[2:]]

    changed(data, name_general_genes)
    excluded = written(tmp_path / "out.txt", "MARKER1X", "MARKER1Y")
    kept = written(tmp_path / "in.txt", "RPL3")
    code, out, _ = find(run, data, "--exclude", excluded, "--keep", kept, "--out", tmp_path / "out", "--n-genes", 99)
    assert code == 0
    filters = pd.read_csv(tmp_path / "out" / "filters.csv", index_col="rule")
    assert filters.loc["excluded by the user"].tolist() == [2, 2, 58]
    assert filters.loc["ribosomal genes"].tolist() == [1, 0, 57]
    panel = set(pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"])
    assert not panel & {"MARKER1X", "MARKER1Y", "MT-CO1"}
    assert "RPL3" in panel
    assert "MARKER1X" not in out


LISTS = {
    "one a line": "MARKER0X\nMARKER1X\n",
    "blank lines and spaces": "\n  MARKER0X  \n\nMARKER1X\n\n",
    "a column name": "rank,name\n1,MARKER0X\n2,MARKER1X\n",
    "a column gene": "Gene,score\nMARKER0X,1\nMARKER1X,2\n",
    "a gene twice": "MARKER0X\nMARKER1X\nMARKER0X\n",
    "Windows line ends": "MARKER0X\r\nMARKER1X\r\n",
    "a mark at the start, as Excel writes": "\ufeffMARKER0X\nMARKER1X\n",
    "an index without a name, as pandas writes": ",group,name\n0,A,MARKER0X\n1,A,MARKER1X\n",
    "separated by tabs": "name\tgroup\nMARKER0X\tA\nMARKER1X\tB\n",
    "a row that is too short": "rank,name\n1,MARKER0X\n2,MARKER1X\n3\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_of_genes_is_read_however_it_was_saved(run, data, tmp_path, text):
    path = tmp_path / "genes.csv"
    path.write_bytes(text.encode())
    code, out, error = evaluate(run, data, path, "--protocol", "paper")
    assert code == 0, error
    assert "genes (2 genes)" in out


def test_two_runs_print_and_write_the_same(run, data, tmp_path):
    first, second = (find(run, data, "--out", tmp_path / "out") for _ in range(2))
    assert first == second


def test_within_gives_markers_inside_each_broad_group(run, data, tmp_path):
    def broad(adata):
        adata.obs["broad"] = np.where(adata.obs["cell_type"] == "A", "alone", "both")

    changed(data, broad)
    code, out, error = find(run, data, "--within", "broad", "--out", tmp_path / "out", "--n-top", 2)
    assert code == 0
    assert "alone" in error
    assert set(pd.read_csv(tmp_path / "out" / "markers.csv")["group"]) == {"both / B / b", "both / CD4+ T"}
    assert "  both / CD4+ T " in out


def test_options_of_find_reach_the_selection(run, data, tmp_path):
    options = ("--n-top", 4, "--unique", "--positive-only", "--n-models", 2, "--species", "mouse", "--no-inverse-pca")
    assert find(run, data, *options, "--min-cells", 5, "--out", tmp_path / "out")[0] == 0
    params = json.loads((tmp_path / "out" / "params.json").read_text())
    assert params["ranking"] | {"n_top": 4, "unique": True, "positive_only": True} == params["ranking"]
    assert params["importance"]["n_models"] == 2
    assert params["filters"]["species"] == "mouse"
    assert params["source"]["min_cells"] == 5
    assert "inverse_pca" not in params
    assert params["filters"]["max_fraction"] is None


def test_the_papers_setting_is_one_option(run, data, tmp_path):
    assert find(run, data, "--paper", "--out", tmp_path / "out", "--no-figures")[0] == 0
    params = json.loads((tmp_path / "out" / "params.json").read_text())
    assert params["filters"]["max_fraction"] == 0.75
    assert "of ≥ 50% of the groups" in (tmp_path / "out" / "filters.csv").read_text()


def test_layers_raw_symbols_and_logged_values_are_read(run, data, adata, tmp_path):
    def elsewhere(adata):
        counts = adata.X.toarray()
        adata.var["symbol"] = adata.var_names
        adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
        adata.raw = adata
        adata.layers["counts"] = adata.X
        adata.layers["logged"] = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)))
        adata.X = counts - counts.mean(axis=0)

    changed(data, elsewhere)
    panels = []
    for source in (("--layer", "counts"), ("--use-raw",), ("--layer", "logged", "--normalized")):
        options = ("--gene-symbols", "symbol", "--exclude", written(tmp_path / "x.txt", "MARKER0X"), "--n-genes", 8)
        code, _, error = find(run, data, *source, *options, "--out", tmp_path / "out")
        assert code == 0, error
        panels.append(pd.read_csv(tmp_path / "out" / "marker_panel.csv")["name"].tolist())
    assert panels[0] == panels[1] == panels[2]
    assert "ENSG00000000000" not in panels[0]
    assert_one_message(find(run, data, "--gene-symbols", "symbol"), "negative", "layer=")


def test_notes_of_what_was_left_out_go_to_standard_error(run, data):
    def leave_some_out(adata):
        adata.obs["cell_type"] = ["few", None, *adata.obs["cell_type"].astype(str)[2:]]

    changed(data, leave_some_out)
    code, out, error = find(run, data, "--min-cells", 2)
    assert code == 0
    assert "note: 1 of 240 cells have no label" in error
    assert "few (1)" in error
    assert "note:" not in out


def no_file(data):
    data.rename(data.with_name("cells2.h5ad"))


def text_file(data):
    data.write_text("gene,count\n")


def to_negative(adata):
    adata.X = adata.X.toarray() - 1


def to_logged(adata):
    adata.X = np.log1p(adata.X.toarray() / 3)


def to_nan(adata):
    adata.X = np.where(adata.X.toarray() > 4, np.nan, adata.X.toarray())


def to_twice(adata):
    adata.var_names = ["MARKER0X", *adata.var_names[:-1]]


def to_one_donor(adata):
    adata.obs["sample"] = "d1"


def to_rare(adata):
    adata.obs["cell_type"] = ["rare", *adata.obs["cell_type"].astype(str)[1:]]


# name: (what is done to the file, options, words of the message)
BAD_FIND = {
    "a missing file": (no_file, (), ("cells.h5ad", "cells2.h5ad")),
    "no h5ad": (text_file, (), ("cells.h5ad", "cannot be read as an h5ad file")),
    "no such column": (None, ("--groupby", "cell_typ"), ("'cell_typ'", "Did you mean 'cell_type'")),
    "no such layer": (None, ("--layer", "counts"), ("'counts'", "Layers: none")),
    "no raw": (None, ("--use-raw",), ("raw is empty",)),
    "no such sample column": (None, ("--sample-key", "samples"), ("'samples'", "Did you mean 'sample'")),
    "one sample": (to_one_donor, ("--sample-key", "sample"), ("'sample'", "d1")),
    "no such broad column": (None, ("--within", "broad"), ("'broad'", "Columns: cell_type")),
    "no such symbol column": (None, ("--gene-symbols", "symbol"), ("'symbol'",)),
    "a class of one cell": (to_rare, (), ("rare (1)", "min_cells")),
    "one class left": (None, ("--min-cells", "80"), ("'cell_type'", "A (71)")),
    "negative values": (to_negative, (), ("negative", "normalize")),
    "logged values as counts": (to_logged, (), ("log-normalised", "normalize")),
    "counts as logged values": (None, ("--normalized",), ("whole numbers",)),
    "NaN": (to_nan, (), ("NaN",)),
    "duplicated genes": (to_twice, (), ("MARKER0X", "var_names_make_unique")),
    "no models": (None, ("--n-models", "0"), ("n_models",)),
    "no markers a group": (None, ("--n-top", "0"), ("n_top",)),
    "an unknown model": (None, ("--model", "svm"), ("svm", "xgboost")),
    "no number": (None, ("--n-top", "five"), ("five",)),
}


@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")
@pytest.mark.parametrize(("change", "options", "words"), BAD_FIND.values(), ids=BAD_FIND)
def test_find_answers_bad_input_with_one_message_and_writes_nothing(run, data, tmp_path, change, options, words):
    if change in (no_file, text_file):
        change(data)
    elif change:
        changed(data, change)
    assert_one_message(find(run, data, "--out", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out").exists()


GENE_FILES = {
    "an absent gene": (b"MARKER0X\nMARKER1W\n", ("'MARKER1W'", "MARKER1X")),
    "no genes": (b"\n\n", ("genes.txt holds no genes",)),
    "a header only": (b"name\n", ("genes.txt", "no genes")),
    "no text": (b"PK\x03\x04\xff\xfe\x00\x01" * 9, ("genes.txt", "a line")),
}


@pytest.mark.parametrize("option", ["--exclude", "--keep", "--genes"])
@pytest.mark.parametrize(("content", "words"), GENE_FILES.values(), ids=GENE_FILES)
def test_a_bad_list_of_genes_is_answered_with_one_message(run, data, tmp_path, content, words, option):
    path = tmp_path / "genes.txt"
    path.write_bytes(content)
    command = "evaluate" if option == "--genes" else "find"
    result = run(command, data, "--groupby", "cell_type", option, path, "--out", tmp_path / "out")
    assert_one_message(result, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--exclude", "--keep", "--genes"])
@pytest.mark.parametrize("name", ["absent.txt", "a folder"])
def test_a_list_of_genes_that_is_no_file_is_named(run, data, tmp_path, name, option):
    (tmp_path / "a folder").mkdir()
    command = "evaluate" if option == "--genes" else "find"
    result = run(command, data, "--groupby", "cell_type", option, tmp_path / name)
    assert_one_message(result, name)


@pytest.mark.parametrize(
    ("options", "word"), [(("--groupby", "cell_typ"), "'cell_type'"), (("--use-raw",), "raw is empty")], ids=str
)
def test_evaluate_answers_bad_input_with_one_message_and_writes_nothing(run, data, tmp_path, options, word):
    genes = written(tmp_path / "genes.txt", *MARKERS)
    assert_one_message(evaluate(run, data, genes, "--out", tmp_path / "out", *options), word)
    assert not (tmp_path / "out").exists()


def test_find_without_a_column_says_what_is_missing(run, data):
    assert_one_message(run("find", data), "--groupby")


def test_no_command_says_which_there_are(run):
    assert_one_message(run(), "demo", "find", "evaluate")


@pytest.mark.parametrize("command", ["demo", "find", "evaluate"])
def test_a_folder_that_cannot_be_written_is_named_before_any_work(run, data, tmp_path, monkeypatch, command):
    def worked(*_, **__):
        raise AssertionError("data were read before the complaint")

    monkeypatch.setattr("smash_gpu.read", worked)
    monkeypatch.setattr("smash_gpu.annotated.read.read", worked)
    genes = written(tmp_path / "genes.txt", *MARKERS)
    for out in (genes / "below a file", genes):
        arguments = {
            "demo": (),
            "find": (data, "--groupby", "cell_type"),
            "evaluate": (data, "--groupby", "cell_type", "--genes", genes),
        }[command]
        assert_one_message(run(command, *arguments, "--out", out), str(out), "folder")
    assert genes.read_text().split() == MARKERS


def test_an_unexpected_error_is_not_hidden(run, data, monkeypatch):
    def broken(*_, **__):
        raise AssertionError("a bug")

    monkeypatch.setattr("smash_gpu.tl.smash", broken)
    with pytest.raises(AssertionError, match="a bug"):
        find(run, data)


def test_a_selection_without_markers_is_told_and_not_a_crash(run, data, tmp_path):
    """Every gene is seen in one donor only, so the sample rule forbids all."""

    def one_donor_each(adata):
        counts, donors = adata.X.toarray(), pd.factorize(adata.obs["sample"])[0]
        counts[donors[:, None] != np.arange(adata.n_vars)[None, :] % 4] = 0
        adata.X = sparse.csr_matrix(counts)

    changed(data, one_donor_each)
    keep = written(tmp_path / "keep.txt", *ad.read_h5ad(data).var_names)
    code, out, error = find(run, data, "--sample-key", "sample", "--keep", keep, "--out", tmp_path / "out")
    assert "Traceback" not in error
    assert "max()" not in error
    assert "A, B / b, CD4+ T" in error
    assert code == 0 or not (tmp_path / "out").exists()


def test_zarr_stores_are_read_as_well(run, adata, tmp_path):
    adata.write_zarr(tmp_path / "cells.zarr")
    code, out, error = find(run, tmp_path / "cells.zarr", "--n-top", 1)
    assert code == 0, error
    assert "MARKER0" in out


def test_demo_finds_markers_of_ten_blood_cell_types_and_judges_them(run, tmp_path):
    pytest.importorskip("scanpy")
    with threadpool_limits(1):  # two BLAS threads wait for each other for seconds where another process takes a core
        code, out, error = run("demo", "--out", tmp_path / "demo", "--n-splits", 2)
    assert code == 0, error
    with (tmp_path / "demo" / "markers.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len({row["group"] for row in table}) == 10
    assert {row["name"] for row in table if row["group"] == "CD19+ B"} & {"CD79A", "CD79B", "MS4A1"}
    assert {row["name"] for row in table if row["group"] == "CD56+ NK"} & {"NKG7", "GNLY", "GZMB"}
    assert (tmp_path / "demo" / "markers.png").read_bytes().startswith(PNG)
    assert "misclassification" in out
    assert "f1_weighted" in out
