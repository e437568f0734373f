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
PATTERNS = 10_000
START_MS = 1_795_000_000_000
SPACING_MS = 1_000
ROLE = "inspector"

_PLACES = ("启航", "博文", "新思路", "卓越", "育才", "优学", "明德", "星辰", "智慧树", "童心", "金阶", "雅乐", "春晖", "晨曦")
_SUBJECTS = ("艺术", "美术", "舞蹈", "音乐", "书画", "围棋", "跆拳道", "机器人", "少儿编程", "国学", "口才", "课后托管")
_ROADS = ("人民中路", "解放东路", "五一大道", "芙蓉南路", "韶山北路", "迎宾路", "学府路", "朝阳路", "书院路", "桃花路")
_SURNAMES = "李王张刘陈杨黄周吴赵罗谢唐彭曾邓肖胡蒋欧谭贺"
_GIVEN = "建国志强秀英丽华军敏静伟芳娟涛明超艳勇杰慧霞平刚桂兰婷玉梅鹏飞宇轩"
_POSTS = ("负责人", "校长", "教务主任", "前台值班人员", "行政主管")
_WORDS = (
    "一楼 二楼 三楼 四楼 前台 走廊 教室 门厅 楼梯 电梯 厨房 餐厅 寝室 库房 机房 画室 琴房 操场 "
    "门口 后门 窗户 墙面 地面 顶棚 公示 张贴 悬挂 摆放 堆放 存放 登记 签到 打卡 缴费 退费 收费 "
    "票据 合同 协议 台账 名册 课表 教材 试卷 作业 奖状 证书 执照 许可 学员 家长 教师 助教 校长 "
    "保安 保洁 厨师 司机 员工 儿童 幼儿 小学 初中 高中 周末 晚间 暑期 寒假 上午 下午 中午 当日 "
    "上周 消防 灭火 烟感 喷淋 应急 照明 疏散 指示 出口 通道 防火 闸门 配电 插座 线路 电缆 燃气 "
    "阀门 钢瓶 水压 压力 指针 绿色 黄色 监控 录像 屏幕 摄像 硬盘 网络 广播 电话 钥匙 门锁 护栏 "
    "防护 限位 玻璃 破损 裂缝 渗水 积水 油污 异味 噪声 温度 通风 采光 完好 齐全 缺失 过期 有效 "
    "无效 正常 异常 清晰 模糊 整齐 杂乱 干净 潮湿 畅通 占用 锁闭 开启 关闭 点亮 熄灭 运转 停用 "
    "更换 检查 查看 询价 核对 抽查 复核 拍照 测量 记录 说明 出示 提供 保管 移走 补齐 整理 清理 "
    "维修 加装 拆除 登高 巡视 值班 交接 大约 大致 部分 全部 多数 少数 个别 另有 其中 以及 并且 "
    "未见 可见 看到 听到 闻到 测得 位于 靠近 对面 旁边 上方 下方 左侧 音乐 舞蹈 美术 书法 围棋 "
    "篮球 武术 编程 口才 国学 托管 午休 接送 体检 健康 留样 消毒 洗手 饮水 食堂 菜单 进货 保质 "
    "冷藏 "
).split()
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
        "institution": _id(START_MS - rng.randrange(10**9), rng),
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
        id=_id(now + 1, rng), kind=Inspection.kind, record=_id(now, rng), set=written, by=[person],
        schema=Inspection.version, hlc=f"{now:012x}-0000",
        clock={"wall": now, "mono": number * SPACING_MS, "boot": "c1b5d2c6-3e0f-4c35-9a53-6f7f0c8f3a10", "off": 0},
    )  # fmt: skip


def changes(count: int, person: str, areas: tuple[str, ...] = AREAS) -> Iterator[Change]:
    """The changes that make the first `count` records."""
    return (change(number, person, areas) for number in range(count))


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
        record = _id(now, rng)
        content = pattern.content.replace(pattern.record.encode(), record.encode())
        content = content.replace(change_id.encode(), _id(now + 1, rng).encode())
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


def _id(ms: int, rng: random.Random) -> str:
    """A UUIDv7 (RFC 9562) of this moment, with chance from `rng`."""
    number = ms << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
