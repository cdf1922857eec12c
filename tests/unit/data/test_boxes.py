"""Tables and Pascal VOC files of boxes: what is told apart, and what is refused."""

import pytest

from medjepa.data.boxes import boxes_beside, read_boxes
from medjepa.errors import DataError, InputError


def write(folder, text):
    path = folder / "boxes.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "image,label,x,y,w,h\na.png,cell,10,20,30,40\n",
        "image,label,xmin,ymin,xmax,ymax\na.png,cell,10,20,40,60\n",
        "filename;class;x1;y1;x2;y2\na.png;cell;10;20;40;60\n",
        "image_path,class_name,x0,y0,x1,y1\na.png,cell,10,20,40,60\n",
        "image,cell_name,left,top,width,height\na.png,cell,10,20,30,40\n".replace(
            "cell_name", "name"
        ),
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,cell,10,20,30,40,,,\n",
        "image\tlabel\tx_min\ty_min\tx_max\ty_max\na.png\tcell\t10\t20\t40\t60\n",
    ],
)
def test_every_way_of_writing_a_box_is_one_box(tmp_path, text):
    table = read_boxes(write(tmp_path, text))
    assert table.images["a.png"].corners == ((10.0, 20.0, 40.0, 60.0),)
    assert table.images["a.png"].labels == ("cell",)
    assert table.class_names == ("cell",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,x,y,w,h,xmin,ymin,xmax,ymax\na,1,2,3,4,1,2,4,6\n", "both x, y, w, h and corners"),
        ("image,cx,cy,w,h\na,5,5,3,4\n", "is to be in the columns|columns of middles"),
        ("image,x_center,y_center,w,h\na,5,5,3,4\n", "columns of middles"),
        ("image,x,y,w\na,1,2,3\n", "is to be in the columns"),
        ("image,filename,x,y,w,h\na,b,1,2,3,4\n", "one column is to be the image"),
        ("image,label,class,x,y,w,h\na,c,d,1,2,3,4\n", "one column is to be the class"),
        ("image,x,y,w,h\na,1,2,0,4\n", "row 2: a box has a width and height above 0"),
        ("image,xmin,ymin,xmax,ymax\na,5,5,4,9\n", "xmax and ymax above"),
        ("image,x,y,w,h\na,1,two,3,4\n", "not four numbers"),
        ("image,x,y,w,h\na,1,,3,4\n", "not four numbers"),
        ("image,x,y,w,h\na,0.1,0.1,0.5,0.5\n", "shares of the image"),
        ("image,x,y,w,h\na,,,,\n", "no row has a box"),
        ("image,x,y,w,h\n,1,2,3,4\n", "names no image"),
        ("image,x,y,w,h\n", "no rows"),
    ],
)
def test_what_is_ambiguous_or_no_box_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_boxes(write(tmp_path, text))


def test_a_row_without_a_box_is_an_image_without_objects(tmp_path):
    table = read_boxes(write(tmp_path, "image,x,y,w,h\na,1,2,3,4\na,2,2,3,4\nb,,,,\n"))
    assert len(table.images["a"].corners) == 2
    assert table.images["b"].corners == ()
    assert table.class_names == ("object",)


VOC = """<annotation><size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>RBC</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>10</xmax><ymax>12</ymax></bndbox>
</object>{}</annotation>"""
EMPTY = (
    "<object><name>WBC</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>0</xmax><ymax>0</ymax>"
    "</bndbox></object>"
)


def test_pascal_voc_counts_from_one_and_has_its_own_split(tmp_path):
    folder = tmp_path / "Annotations"
    folder.mkdir()
    (folder / "a.xml").write_text(VOC.format(EMPTY))
    (folder / "b.xml").write_text("<annotation></annotation>")
    sets = tmp_path / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n")
    (sets / "test.txt").write_text("b 1\n")
    table = read_boxes(folder)
    assert table.images["a"].corners == ((0.0, 1.0, 10.0, 12.0),)
    assert table.images["a"].size == (30, 40)
    assert table.images["b"].corners == ()
    assert table.parts == {"a": "train", "b": "test"}
    assert table.notes == ("1 boxes without an area were left out.",)
    (tmp_path / "JPEGImages").mkdir()
    assert boxes_beside(tmp_path / "JPEGImages") == folder
    assert boxes_beside(tmp_path) == folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object></object></annotation>", "without bndbox"),
        ("<annotation><object><bndbox/></object></annotation>", "a corner is missing"),
        ("<annotation>", "cannot be read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "declares entities"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_boxes(tmp_path)
    assert "a.xml" in str(caught.value)


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_boxes(tmp_path / "none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.xml file"):
        read_boxes(tmp_path / "empty")


def test_real_blood_cells(real_data):
    table = read_boxes(real_data("bccd") / "BCCD" / "Annotations")
    assert table.class_names == ("Platelets", "RBC", "WBC")
    assert len(table.images) == 364
    assert list(table.parts.values()).count("test") == 72
