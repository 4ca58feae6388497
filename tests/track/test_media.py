from burnish.track.media import kept_by_kind


def of(kind, count=1, last_step=0):
    return {"kind": kind, "count": count, "last_step": last_step}


def test_media_are_told_by_kind_with_their_number_and_last_step():
    media = {"maps": of("attention", 2, 8), "samples": of("image", 3, 40), "net": of("graph", 1, None), "a": of("text")}
    assert kept_by_kind(media) == {
        "attention": ["maps (2, last at step 8)"],
        "graphs": ["net"],
        "images": ["samples (3, last at step 40)"],
        "texts": ["a (step 0)"],
    }


def test_many_keys_of_one_group_are_one():
    media = {f"grad/{n}": of("histogram", 9, 90) for n in range(50)} | {"weight/a": of("histogram")}
    assert kept_by_kind(media) == {"histograms": ["grad/* (50 keys)", "weight/a (step 0)"]}


def test_very_many_keys_are_cut():
    told = kept_by_kind({f"k{n:02}": of("table") for n in range(20)})["tables"]
    assert told[11:] == ["k11 (step 0)", "… and 8 more"]


def test_what_is_no_media_is_left_out():
    assert kept_by_kind({"a": 3, "b": {"count": "x"}}) == {"": ["b"]}
