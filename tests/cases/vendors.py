"""Panels as instruments and vendors write them, made up here, with two genes that the data hold and one that they lack.

Forms: Xenium's gene_panel.json as in the output of Xenium Onboard Analysis (payload, targets, type, info); the table
that 10x offers for every panel (Genes, Ensembl_ID, Num_Probesets, Codewords, Annotation); MERSCOPE's codebook (name,
id, barcodeType, then one column per bit; Blank-N); MERlin's codebook (three rows before name, id, barcode); a list of
CosMx targets, whose files call genes "target" and controls Negative and SystemControl.
"""

from __future__ import annotations

import json

GENES = ["MARKER0X", "MARKER1X", "PROBE7"]
SETS = [8.0, 3.0, 2.0]


def target(name, descriptor, **info):
    known = {} if descriptor != "gene" else {"id": f"ENSG{GENES.index(name):011}"}
    kind = {"data": {"name": name} | known, "descriptor": descriptor}
    return {"codewords": [1], "info": info, "source": {"category": "base"}, "type": kind}


CONTROLS = {
    "negative_control_probe": "NegControlProbe_00042",
    "negative_control_codeword": "NegControlCodeword_0500",
    "unassigned_codeword": "UnassignedCodeword_0001",
    "deprecated_codeword": "DeprecatedCodeword_0009",
    "genomic_control_probe": "Intergenic_Region_12",
}
XENIUM = {
    "metadata": {"version": "1.0"},
    "payload": {
        "panel": {"identity": {"design_id": "made_up", "name": "Made up"}, "num_gene_targets": 3},
        "targets": [
            *(target(gene, "gene", gene_coverage=int(n)) for gene, n in zip(GENES, SETS, strict=True)),
            *(target(name, descriptor) for descriptor, name in CONTROLS.items()),
        ],
    },
}
ROWS = [f"{gene},ENSG{i:011},{int(n)},1,B" for i, (gene, n) in enumerate(zip(GENES, SETS, strict=True))]
TENX = ["Genes,Ensembl_ID,Num_Probesets,Codewords,Annotation", *ROWS]
BITS = [f"{gene},ENST{i:011}.2,merfish,1,0,1" for i, gene in enumerate(GENES)]
MERSCOPE = ["name,id,barcodeType,RS0015,RS0083,RS0095", *BITS, "Blank-1,Blank-1,merfish,0,1,1"]
CODES = [f"{gene},ENST{i:011}.2,1 0 1" for i, gene in enumerate(GENES)]
MERLIN = ["version,1.1", "codebook_name,made_up", "bit_names,RS0015,RS0083,RS0095", "name,id,barcode", *CODES,
          "Blank-1,,0 1 1"]  # fmt: skip
COSMX = ["target,class", *(f"{gene},Endogenous" for gene in GENES), "Negative01,Negative", "SystemControl7,System"]
WITH_SETS = {"gene_panel.json": [json.dumps(XENIUM)], "Xenium_metadata.csv": TENX}
FILES = WITH_SETS | {"codebook.csv": MERSCOPE, "codebook_merlin.csv": MERLIN, "cosmx.csv": COSMX}
