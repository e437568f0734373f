"""The records that every measurement moves: inspections of 15 fields, about 1 KB of values, mostly Chinese.

They are made from their number, so each run and both sides get the same ones. A change (`changes`) is what a tablet
writes; a merged record (`merged`) is what the server makes of it and sends to others. The change is longer than the
record: it names the parents of each value, its author and the clocks.

Text is drawn from a few hundred words, so that it packs about as well as what people write. Beyond
`PATTERNS` records the same texts come again under other ids, too far apart for zstd to notice.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from schemas.kinds.inspection import Inspection
from sync.core.change import Change, compose
from sync.core.fold import Entry, State, absorb, checksum

COUNTY = "430102"
AREAS = tuple(f"{COUNTY}{number:03}001" for number in range(1, 26))
"""25 communities: 10,000 records are 400 in each bucket, few enough to be pulled page by page."""
OTHER_COUNTY = "430103"
"""Outside the scope of the tablets that are measured."""
PATTERNS = 10_000
START_MS = 1_750_000_000_000
"""In the past for whoever runs this: a stamp from the future would take another way through the server."""
SPACING_MS = 1_000
ROLE = "inspector"

_PLACES = ("启航", "博文", "新思路", "卓越", "育才", "优学", "明德", "星辰", "智慧树", "童心", "金阶", "雅乐", "春晖")
_SUBJECTS = ("艺术", "美术", "舞蹈", "音乐", "书画", "围棋", "跆拳道", "机器人", "少儿编程", "国学", "口才", "课后托管")
_ROADS = ("人民中路", "解放东路", "五一大道", "芙蓉南路", "韶山北路", "迎宾路", "学府路", "朝阳路", "书院路", "桃花路")
_SURNAMES = "李王张刘陈杨黄周吴赵罗谢唐彭曾邓肖胡蒋欧谭贺"
_GIVEN = "建国志强秀英丽华军敏静伟芳娟涛明超艳勇杰慧霞平刚桂兰婷玉梅鹏飞宇轩"
_POSTS = ("负责人", "校长", "教务主任", "前台值班人员", "行政主管")
_PAIRS = (
    "一楼二楼三楼四楼前台走廊教室门厅楼梯电梯厨房餐厅寝室库房机房画室琴房操场门口后门窗户墙面地面顶棚"
    "公示张贴悬挂摆放堆放存放登记签到打卡缴费退费收费票据合同协议台账名册课表教材试卷作业奖状证书执照"
    "许可学员家长教师助教校长保安保洁厨师司机员工儿童幼儿小学初中高中周末晚间暑期寒假上午下午中午当日"
    "上周消防灭火烟感喷淋应急照明疏散指示出口通道防火闸门配电插座线路电缆燃气阀门钢瓶水压压力指针绿色"
    "黄色监控录像屏幕摄像硬盘网络广播电话钥匙门锁护栏防护限位玻璃破损裂缝渗水积水油污异味噪声温度通风"
    "采光完好齐全缺失过期有效无效正常异常清晰模糊整齐杂乱干净潮湿畅通占用锁闭开启关闭点亮熄灭运转停用"
    "更换检查查看询价核对抽查复核拍照测量记录说明出示提供保管移走补齐整理清理维修加装拆除登高巡视值班"
    "交接大约大致部分全部多数少数个别另有其中以及并且未见可见看到听到闻到测得位于靠近对面旁边上方下方"
    "左侧音乐舞蹈美术书法围棋篮球武术编程口才国学托管午休接送体检健康留样消毒洗手饮水食堂菜单进货保质"
    "冷藏"
)
_WORDS = [_PAIRS[at : at + 2] for at in range(0, len(_PAIRS), 2)]
_OPINIONS = ("情况属实", "已知悉，愿意配合", "无异议", "公示内容将补齐", "桌椅已安排人员搬走")


class Merged(NamedTuple):
    """A record as the server keeps it: `content` are the bytes of its `State`, `sum` their checksum."""

    record: str
    kind: str
    area: str
    content: bytes
    sum: int


def values(number: int, areas: tuple[str, ...] = AREAS) -> dict[str, Any]:
    """Path → value of the record with this number; 15 paths."""
    rng = random.Random(number)
    place, subject = rng.choice(_PLACES), rng.choice(_SUBJECTS)
    month, day, hour = rng.randint(1, 12), rng.randint(1, 28), rng.randint(1, 10)
    findings = "，".join("".join(rng.choices(_WORDS, k=rng.randint(2, 6))) for _ in range(18))
    return {
        "institution": id_of(START_MS - rng.randrange(10**9), rng),
        "name": f"长沙市{place}{subject}培训学校有限公司",
        "area": areas[number % len(areas)],
        "address": f"{rng.choice(_ROADS)}{rng.randint(1, 900)}号{rng.randint(1, 28)}栋{rng.randint(101, 2808)}室",
        "person_in_charge": _name(rng),
        "person_post": rng.choice(_POSTS),
        "person_phone": f"1990000{rng.randint(0, 9999):04}",
        "mode": "patrol",
        "edition": f"2026-{rng.randint(1, 3)}",
        "notice_number": f"开教检字〔2026〕第{number}号",
        "started_at": f"2026-{month:02}-{day:02}T{hour:02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.118Z",
        "ended_at": f"2026-{month:02}-{day:02}T{hour + 1:02}:{rng.randint(0, 59):02}:00.000Z",
        "led_by": _name(rng),
        "findings": f"{findings}。现场人员{_name(rng)}陪同查看，用时{rng.randint(15, 90)}分钟。",
        "party_opinion": rng.choice(_OPINIONS),
    }


def change(number: int, person: str, areas: tuple[str, ...] = AREAS) -> Change:
    """The one change that makes the record with this number."""
    rng, now = random.Random(~number), START_MS + number * SPACING_MS
    written: dict[str, tuple[Any, list[str]]] = {path: (value, []) for path, value in values(number, areas).items()}
    return compose(
        id=id_of(now + 1, rng), kind=Inspection.kind, record=id_of(now, rng), set=written, by=[person],
        schema=Inspection.version, hlc=f"{now:012x}-0000",
        clock={"wall": now, "mono": number * SPACING_MS, "boot": "c1b5d2c6-3e0f-4c35-9a53-6f7f0c8f3a10", "off": 0},
    )  # fmt: skip


def changes(count: int, person: str, areas: tuple[str, ...] = AREAS, *, first: int = 0) -> Iterator[Change]:
    """The changes that make `count` records, from the one with the number `first` on."""
    return (change(number, person, areas) for number in range(first, first + count))


def merged(count: int, areas: tuple[str, ...] = AREAS) -> Iterator[Merged]:
    """The first `count` records as the server has merged them, at revision 1."""
    if PATTERNS % len(areas):
        raise ValueError("a pattern has to fall on the same area each time")
    patterns = [_merged(number, areas) for number in range(min(count, PATTERNS))]
    rng = random.Random(count)
    for number in range(count):
        pattern, change_id = patterns[number % PATTERNS]
        if number < PATTERNS:
            yield pattern
            continue
        now = START_MS + number * SPACING_MS
        record = id_of(now, rng)
        content = pattern.content.replace(pattern.record.encode(), record.encode())
        content = content.replace(change_id.encode(), id_of(now + 1, rng).encode())
        yield Merged(record, pattern.kind, pattern.area, content, checksum(content))


def leaf(one: Merged) -> bytes:
    """Leaf data for the log that stands in for the hash of the record's change."""
    return hashlib.sha256(one.record.encode()).digest()


def _merged(number: int, areas: tuple[str, ...]) -> tuple[Merged, str]:
    made = change(number, "p-1", areas)
    state = State(made.record, made.kind)
    absorb(state, Entry(made, "accepted", "", ROLE))
    state.rev = 1
    content = state.dump()
    return Merged(made.record, made.kind, str(made.value("area")), content, checksum(content)), made.id


def _name(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.randint(1, 2)))


def id_of(ms: int, rng: random.Random) -> str:
    """A UUIDv7 (RFC 9562) of this moment, with chance from `rng`."""
    number = ms << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
