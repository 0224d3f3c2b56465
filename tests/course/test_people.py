"""Everybody's work goes to the right person, or to nobody with a reason."""

import unicodedata

import pytest

from resnorm.course.collecting.class_list import Student
from resnorm.course.collecting.matching import match
from resnorm.course.collecting.people import Person

CLASS = [
    Student("s1", "Ann-Marie Müller", "ann@school.example", "101", "amm"),
    Student("s2", "Bo Li", "bo@school.example", "102"),
    Student("s3", "Li Bo Chen", "li@school.example", "103"),
    Student("s4", "王伟", "wang@school.example", "104"),
    Student("s5", "李娜", "na@school.example", "105"),
    Student("s6", "Иван Петров", "ivan@school.example", "106"),
    Student("s7", "García López, María José", "maria@school.example", "107"),
    Student("s8", "Åse Sørensen", "ase@school.example", "108"),
    Student("s9", "Sinéad O’Neil", "sinead@school.example", "109"),
    Student("t1", "Jane Doe", "jane1@school.example", "110"),
    Student("t2", "Doe, Jane", "jane2@school.example", "111"),
    Student("t3", "किरण", "kiran@school.example", "112"),
    Student("t4", "कीरण", "kirann@school.example", "113"),
    Student("t5", "Łukasz Groß", "lukasz@school.example", "114"),
    Student("t6", "Jane Doe", "jane3@school.example", "7001"),
    Student("t7", "Mary Roe", "mary@school.example", "7002"),
]


@pytest.mark.parametrize(
    "label, wanted",
    [
        ("Ann-Marie Müller", "s1"),
        ("Ann-Marie Mu\u0308ller", "s1"),  # taken apart, as macOS writes file names
        ("Müller, Ann-Marie", "s1"),
        ("müllerannmarie", "s1"),  # Canvas
        ("Annmarie Mueller", "s1"),
        ("ann marie muller", "s1"),
        ("Li Bo", "s2"),
        ("boli", "s2"),
        ("chenlibo", "s3"),
        ("王伟", "s4"),
        ("李娜", "s5"),
        ("Петров Иван", "s6"),
        ("María José García López", "s7"),
        ("garcíalópezmaríajosé", "s7"),
        ("Aase Soerensen", "s8"),
        ("Sorensen Ase", "s8"),
        ("oneilsinead", "s9"),
        ("Sinéad O'Neil", "s9"),
        ("किरण", "t3"),
        ("कीरण", "t4"),
        ("Lukasz Gross", "t5"),
        # nobody, or not to be told
        ("Jane Doe", None),
        ("张伟", None),  # shares a character
        ("娜李伟", None),
        ("Wang Wei", None),  # a transliteration: it could be another Wang Wei
        ("Ivan Petrov", None),
        ("Мария Петрова", None),
        ("محمد علي", None),
        ("???", None),
        ("", None),
        ("Bo", None),
        ("Ann-Marie", None),
    ],
)
def test_a_name_is_of_one_person_or_of_nobody(label, wanted):
    found = match(Person(name=label), CLASS)
    assert (found.student and found.student.id) == wanted
    assert bool(found.reason) == (wanted is None)


@pytest.mark.parametrize(
    "person, wanted, words",
    [
        (Person(name="王伟", number="104"), "s4", ""),
        (Person(name="Wang Wei", number="104"), "s4", "by number, not by name"),
        (Person(name="Jane Doe", number="111"), "t2", ""),
        (Person(name="Bo Li", number="101"), None, "correct the class list"),
        (Person(name="王伟", number="105"), None, "correct the class list"),
        (Person(name="", number="999", email="bo@school.example"), "s2", ""),
        (Person(name="Bo Li", number="999", email="BO@School.example"), "s2", ""),
        # a number of Moodle is of one assignment: it only tells people of one name apart
        (Person(name="Bo Li", loose_number="101"), "s2", ""),
        (Person(name="Wang Wei", loose_number="104"), None, "nobody in the class list"),
        (Person(name="Jane Doe", loose_number="110"), "t1", ""),
        (Person(name="Jane Doe", loose_number="7"), None, "must tell them apart"),
        (Person(handle="s5"), "s5", ""),
        (Person(handle="amm"), "s1", ""),
        (Person(handle="ase"), "s8", ""),  # before the @ of an address
        (Person(handle="Ivan Petrow"), None, "nobody in the class list"),
        (Person(handle="Bo Li (1)"), "s2", ""),
        (Person(handle="20261130_Bo_Li"), "s2", ""),
        (Person(handle="7001_Jane_Doe"), "t6", ""),
        (Person(handle="jane-doe-7002"), None, "the name is that of"),
        (Person(handle="Jane Doe 9999"), None, "must tell them apart"),
        (Person(handle="Bo Lee"), None, "the most like it: s2 (Bo Li)"),
    ],
)
def test_a_number_decides_unless_the_name_speaks_against_it(person, wanted, words):
    found = match(person, CLASS)
    assert (found.student and found.student.id) == wanted
    assert words in found.reason + found.remark
    assert bool(found.reason) == (wanted is None)


FIRST = [
    "Ann",
    "Jo",
    "Li",
    "José",
    "Jürgen",
    "Wei",
    "伟",
    "娜",
    "Иван",
    "Мария",
    "Łukasz",
    "Søren",
    "María-José",
    "Ngọc",
    "علي",
    "Priya",
]
LAST = [
    "Müller",
    "Mueller",
    "Li",
    "Wei",
    "O’Neil",
    "García",
    "王",
    "李",
    "Петров",
    "Петрова",
    "Nowak",
    "Sørensen",
    "Trần",
    "محمد",
]


@pytest.mark.parametrize("group", range(4))
def test_in_a_large_class_no_work_goes_to_somebody_else(group):
    pairs = [(first, last) for first in FIRST for last in LAST]
    people = [
        Student(f"s{number}", f"{first} {last}")
        for number, (first, last) in enumerate(pairs)
        if number % 4 == group
    ]
    right = 0
    for student in people:
        first, last = student.name.split()
        forms = [f"{first} {last}", f"{last}, {first}", f"{last} {first}"]
        forms.append("".join(letter for letter in f"{last}{first}".lower() if letter.isalnum()))
        for form in [
            one for plain in forms for one in (plain, unicodedata.normalize("NFD", plain))
        ]:
            found = match(Person(name=form), people).student
            assert found in (None, student), (form, found)
            right += found is student
    assert right > 0.9 * 8 * len(people)
