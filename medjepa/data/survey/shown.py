"""Which files of a finding are shown as pictures: few enough for a page."""

from medjepa.data.survey.findings import Finding

_GROUPS = {
    "inverted": 24, "nearly_blank": 12, "masks": 6, "constant": 4, "spacing_outliers": 8,
    "size_outliers": 8, "intensity_outliers": 12, "doubtful": 6,
}  # fmt: skip
_SIDE_BY_SIDE, _IN_A_GROUP = 6, 4


def shown(finding: Finding) -> list[tuple[int, ...]]:
    """Groups of files whose pictures stand on the page, in the finding's order."""
    if finding.side_by_side:
        return [group[:_IN_A_GROUP] for group in finding.files[:_SIDE_BY_SIDE]]
    return [group[:1] for group in finding.files[: _GROUPS.get(finding.kind, 0)]]
