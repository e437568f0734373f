import pytest

from demo.divisions import cities, communities, counties, division


def test_hunan_has_14_cities_and_122_counties() -> None:
    assert len(cities()) == 14
    assert len(counties()) == 122


def test_codes_are_six_digits_and_unique() -> None:
    codes = [found.code for found in cities() + counties()]
    assert len(set(codes)) == len(codes)
    assert all(len(code) == 6 and code.isdigit() and code.startswith("43") for code in codes)


@pytest.mark.parametrize(
    ("code", "name", "city"),
    [
        ("430104", "岳麓区", "长沙市"),
        ("430181", "浏阳市", "长沙市"),
        ("430182", "宁乡市", "长沙市"),
        ("430212", "渌口区", "株洲市"),
        ("430582", "邵东市", "邵阳市"),
        ("431181", "祁阳市", "永州市"),
        ("433123", "凤凰县", "湘西土家族苗族自治州"),
    ],
)
def test_known_counties_have_their_present_name_and_city(code: str, name: str, city: str) -> None:
    assert division(code).name == name
    assert division(division(code).parent).name == city


def test_codes_that_were_withdrawn_are_unknown() -> None:
    for code in ("430124", "430221", "430521", "431121"):
        with pytest.raises(KeyError):
            division(code)


def test_every_county_belongs_to_the_city_that_its_code_names() -> None:
    assert all(county.parent == county.code[:4] + "00" for county in counties())
    assert sum(len(counties(city.code)) for city in cities()) == 122


def test_seats_lie_in_hunan() -> None:
    for found in cities() + counties():
        assert 108_8000000 <= found.lon_e7 <= 114_3000000, found
        assert 24_6000000 <= found.lat_e7 <= 30_1000000, found


def test_every_county_has_communities_with_twelve_digit_codes() -> None:
    for county in counties():
        found = communities(county.code)
        assert len(found) >= 6
        assert all(len(c.code) == 12 and c.code.startswith(county.code) and c.township for c in found)
