"""The custody report (文书 D25, 电子证据保管链报告) as a PDF on A4: Chinese, and the same bytes for the same facts.

Ten parts: cover, conclusion by the seven factors of 民事诉讼证据规定第九十三条, list of evidence, chain of custody by item,
amendments and derived files, access, anomalies and gaps (printed also when there are none), how to check
independently, terms, and the place for signature and seal. The font is embedded, so it prints alike everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, PageBreak, Spacer, Table

from custody import paper
from custody.paper import WIDTH, facts, hexadecimal, marked, p, qr, safe, table
from custody.report import Access, Amendment, Derivation, Finding, Item, Report, Step

CHINA = timezone(timedelta(hours=8))
NONE = "无"

_OUTCOMES = {"pass": ("通过", "#1a7f37"), "fail": ("不通过", "#b42318"), "not-checked": ("未检查", "#8a5a00")}


def render(report: Report) -> bytes:
    """The report as PDF bytes; equal facts give equal bytes."""
    name = f"电子证据保管链报告 {report.number}"
    foot = f"{report.authority}　电子证据保管链报告　{report.number}"
    story = [flowable for part in _PARTS for flowable in part(report)]
    return paper.build(story, paper.Sheet(name, report.title, report.authority, foot))


# --- The ten parts ------------------------------------------------------------------------------------------------


def _cover(report: Report) -> list[Flowable]:
    about = [
        ("案由", report.title),
        ("案件编号", report.case),
        ("当事人", report.party or "—"),
        ("证据包编号", report.number),
        ("用途", report.purpose or "—"),
        ("制作机关", report.authority),
        ("生成时间", _time(report.made)),
        ("证据件数", f"{len(report.items)} 件"),
        ("证据等级", report.grade or "—"),
    ]
    marks = [
        ("证据包内容校验值 SHA-256", hexadecimal(report.content)),
        ("根密钥指纹", hexadecimal(report.root)),
        ("日志检查点", f"{safe(report.log_origin)}<br/>大小 {report.log_size}<br/>{hexadecimal(report.log_root)}"),
    ]
    code = f"PBR1|{report.number}|{report.content}"
    return [
        Spacer(1, 24 * mm),
        p("电子证据保管链报告", "title"),
        p("Custody report for electronic evidence", "subtitle"),
        Spacer(1, 12 * mm),
        facts(about),
        Spacer(1, 8 * mm),
        Table(
            [[facts(marks, markup=True, width=WIDTH - 46 * mm), qr(code, 40 * mm)]],
            colWidths=[WIDTH - 44 * mm, 44 * mm],
            style=[("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0)],
        ),
        Spacer(1, 8 * mm),
        p(
            "本报告由系统依据已签名的变更、服务器日志和文件原始字节生成，同样的内容每次生成的文件完全一致。"
            "二维码内为证据包编号和内容校验值。校验值、时间区间和结论均可脱离服务器独立复核，方法见第八部分。",
            "quiet",
        ),
        PageBreak(),
    ]


def _conclusion(report: Report) -> list[Flowable]:
    said = {finding.code: finding for finding in report.findings}
    rows = [[p(head, "cell"), p(text, "cell"), _verdict(said, codes)] for head, text, codes in _FACTORS]
    counts = {outcome: sum(one.outcome == outcome for one in report.findings) for outcome in _OUTCOMES}
    failed = [one for one in report.findings if one.outcome == "fail"]
    if failed:
        words = f"有 {len(failed)} 项检查不通过：{'；'.join(f'{one.code} {one.title}' for one in failed)}。不能据此认定证据完整。"
    elif not report.findings:
        words = "检查结果由核验程序在阅读者处得出，不由出具方自述；上表所列编号是核验时应看的检查，方法见第八部分。"
    elif counts["not-checked"]:
        words = "已做的检查全部通过；标为“未检查”的项目不得视为通过。"
    else:
        words = "全部检查通过：自采集签名以来，未发现证据被增删、替换、倒填或调换顺序。"
    grade = [p(f"证据等级 {report.grade}：" + "；".join(report.grade_reasons), "body")] if report.grade else []
    return [
        p("二、结论", "h1"),
        p("按《最高人民法院关于民事诉讼证据的若干规定》第九十三条所列因素逐项说明。", "body"),
        table([["应考虑的因素", "本案情况", "依据的检查"]], rows, [44 * mm, WIDTH - 84 * mm, 40 * mm]),
        Spacer(1, 4 * mm),
        *(_counted(report, counts) if report.findings else ()),
        p(words, "strong"),
        *grade,
        *(_one_by_one(report) if report.findings else ()),
        PageBreak(),
    ]


def _counted(report: Report, counts: dict[Any, int]) -> list[Flowable]:
    told = f"通过 {counts['pass']}，不通过 {counts['fail']}，未检查 {counts['not-checked']}"
    return [p(f"检查共 {len(report.findings)} 项：{told}。", "body")]


def _one_by_one(report: Report) -> list[Flowable]:
    rows = [[p(one.code, "cell"), p(one.title, "cell"), _outcome(one), p(one.detail, "cell")] for one in report.findings]
    return [
        p("检查逐项结果", "h2"),
        table([["编号", "检查内容", "结果", "说明"]], rows, [14 * mm, 46 * mm, 18 * mm, WIDTH - 78 * mm]),
    ]


def _items(report: Report) -> list[Flowable]:
    return [p("三、证据清单", "h1"), *(_or_none_flow([_item(one) for one in report.items]))]


def _item(item: Item) -> Flowable:
    rows = [
        ("证据种类", item.statutory_kind or "—"),
        (
            "文件格式与大小",
            f"{item.mime}　{item.size:,} 字节" + ("" if item.held else "（本证据包未附原件，仅列校验值）"),
        ),
        ("SHA-256", hexadecimal(item.sha256)),
        ("SM3", hexadecimal(item.sm3) if item.sm3 else "未计算"),
        ("采集时间区间", _bracket(item)),
        ("地点", item.place or "—"),
        ("采集人", "、".join(item.makers) or "—"),
        ("设备与来源", "　".join(one for one in (item.equipment, item.source) if one) or "—"),
        ("等级", item.grade or "—"),
    ]
    head = Table(
        [[p(f"第 {item.number} 件　{item.title}", "strong"), p(item.evidence, "hex")]],
        colWidths=[WIDTH - 70 * mm, 70 * mm],
        style=[("BACKGROUND", (0, 0), (-1, -1), paper.SHADE), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")],
    )
    body = facts([(name, text if name in _MARKED else safe(text)) for name, text in rows], markup=True)
    return KeepTogether([head, body, Spacer(1, 4 * mm)])


_MARKED = frozenset({"SHA-256", "SM3", "采集时间区间"})


def _bracket(item: Item) -> str:
    lower = (
        "不早于：未知" if item.not_before is None else f"不早于 {_time(item.not_before)}（{safe(item.not_before_by)}）"
    )
    upper = (
        "不晚于：未知" if item.not_after is None else f"不晚于 {_time(item.not_after)}（{safe(item.not_after_by)}）"
    )
    unsure = "" if item.unsure_ms is None else f"（误差 ±{item.unsure_ms / 1000:.1f} 秒）"
    own = "设备时钟未记载" if item.claimed is None else f"设备时钟自述 {_time(item.claimed)}{unsure}"
    return f"{lower}<br/>{upper}<br/>{own}"


def _custody(report: Report) -> list[Flowable]:
    found: list[Flowable] = [p("四、逐件保管链", "h1")]
    columns = [["时间", "事件", "人员", "设备", "存放处", "校验结果"]]
    widths = [30 * mm, 34 * mm, 30 * mm, 28 * mm, 26 * mm, WIDTH - 148 * mm]
    for item in report.items:
        steps = [one for one in report.steps if one.item == item.number]
        found.append(p(f"第 {item.number} 件　{item.title}", "h2"))
        found.extend(_or_none(columns, [_step(one) for one in steps], widths))
    return found if report.items else [*found, p(NONE, "body")]


def _step(step: Step) -> list[Any]:
    return [p(one, "cell") for one in (_time(step.at), step.what, step.who, step.device, step.where, step.checked)]


def _changes(report: Report) -> list[Flowable]:
    return [
        p("五、修改与衍生说明", "h1"),
        p("（一）签字或提交之后的修改：旧值、新值、理由、何人何时。", "h2"),
        *_or_none(
            [["时间", "字段", "原值", "新值", "理由", "何人"]],
            [_amendment(one) for one in report.amendments],
            [28 * mm, 28 * mm, 34 * mm, 34 * mm, 30 * mm, WIDTH - 154 * mm],
        ),
        p("（二）由原件制作的文件：原件字节从未改动，衍生件另有校验值。", "h2"),
        *_or_none(
            [["原件", "时间", "处理与参数", "工具", "衍生件 SHA-256", "何人、理由"]],
            [_derivation(one) for one in report.derivations],
            [12 * mm, 28 * mm, 36 * mm, 26 * mm, 44 * mm, WIDTH - 146 * mm],
        ),
    ]


def _amendment(one: Amendment) -> list[Any]:
    return [p(text, "cell") for text in (_time(one.at), one.where, one.old, one.new, one.reason, one.who)]


def _derivation(one: Derivation) -> list[Any]:
    return [
        p(f"第 {one.item} 件", "cell"),
        p(_time(one.at), "cell"),
        p(" ".join((one.operation, one.parameters)).strip(), "cell"),
        p(one.tool, "cell"),
        marked(hexadecimal(one.sha256), "cell"),
        p("　".join(part for part in (one.who, one.reason) if part), "cell"),
    ]


def _accesses(report: Report) -> list[Flowable]:
    return [
        p("六、查阅记录", "h1"),
        *_or_none(
            [["时间", "何人", "查阅内容", "目的", "日志位置"]],
            [_access(one) for one in report.accesses],
            [32 * mm, 34 * mm, 44 * mm, WIDTH - 130 * mm, 20 * mm],
        ),
    ]


def _access(one: Access) -> list[Any]:
    leaf = "—" if one.leaf is None else str(one.leaf)
    return [p(text, "cell") for text in (_time(one.at), one.who, one.what, one.purpose, leaf)]


def _gaps(report: Report) -> list[Flowable]:
    listed = [p(f"{number}. {text}", "body") for number, text in enumerate(report.gaps, start=1)]
    return [p("七、异常与缺口", "h1"), *(listed or [p(NONE, "body")])]


def _verifying(report: Report) -> list[Flowable]:
    steps = (
        "取得证据包文件（.fib）和根密钥指纹。指纹应取自纸质文件、制作机关公告或当面核对，不要取自同一台服务器。",
        "在任何装有 Python 的计算机上（无需联网）解压出 fib/verify.py，运行 python verify.py 证据包.fib --root 指纹；"
        "或用巡查助手运行 patrolbook verify 证据包.fib --root 指纹。",
        "看退出结果：0 为必查项目全部通过，1 为发现改动，2 为材料不全，3 为文件格式有误。“未检查”不等于通过。"
        "也可用 sha256sum、openssl 逐项手工复核，步骤见证据包内说明。",
    )
    return [
        p("八、如何独立验证", "h1"),
        *(p(f"第{number}步　{text}", "body") for number, text in zip("一二三", steps, strict=True)),
        p(f"本报告所依据的根密钥指纹：{report.root}", "body"),
    ]


def _terms(report: Report) -> list[Flowable]:
    return [p("九、名词解释", "h1"), facts(_TERMS)]


def _signing(report: Report) -> list[Flowable]:
    blank = "＿" * 14
    lines = [f"签发人：{blank}", f"审核人：{blank}", f"签发机关（盖章）：{blank}", "签发日期：＿＿＿＿年＿＿月＿＿日"]
    return [
        KeepTogether(
            [
                p("十、签发", "h1"),
                p("本人核对了本报告与证据包的校验值，报告内容与系统记载一致。", "body"),
                *(element for line in lines for element in (Spacer(1, 5 * mm), p(line, "body"))),
                Spacer(1, 6 * mm),
                p("（以下空白）", "quiet"),
            ]
        )
    ]


_PARTS = (_cover, _conclusion, _items, _custody, _changes, _accesses, _gaps, _verifying, _terms, _signing)

_FACTORS = (
    (
        "一、生成、存储、传输所依赖的软硬件环境是否完整、可靠",
        "采集端为登记在册的平板，每条变更载明程序、时钟与设备；服务器启动时核对数据库与密钥。",
        ("V05", "V07"),
    ),
    (
        "二、该环境是否处于正常运行状态",
        "变更按设备编号连续、逐条相扣；断档、时钟跳变、恢复或克隆均会显现，列于第七部分。",
        ("V06", "V15"),
    ),
    (
        "三、是否具备防止出错的监测、核查手段",
        "每个文件在采集时计算校验值，服务器收到全部字节后重新计算并写入日志，取得回执后才算收讫。",
        ("V02", "V09", "V10"),
    ),
    (
        "四、是否被完整保存、传输、提取，方法是否可靠",
        "原始字节从未改动；传输按块校验；日志只增不改，检查点经见证与可信时间戳固定。",
        ("V09", "V11", "V12", "V13"),
    ),
    (
        "五、是否在正常的往来活动中形成和存储",
        "由执法、巡查人员在检查过程中即时形成，班次、检查起止与采集时间区间相互印证。",
        ("V14", "V16"),
    ),
    (
        "六、保存、传输、提取的主体是否适当",
        "采集人及其证件、当日有效性与会签见第三部分；查阅人、移交人均有记载。",
        ("V08", "V18", "V20"),
    ),
    (
        "七、其他影响完整性和可靠性的因素",
        "衍生件均注明原件与处理方法；文书与其数据一致；异常与缺口如实列出，没有也写明“无”。",
        ("V17", "V19"),
    ),
)

_TERMS = [
    ("校验值", "由文件全部字节算出的一串数字（SHA-256 为国际通用算法，SM3 为国家密码算法）；改动一个比特即完全不同。"),
    ("变更", "一个人的一次操作：写了什么、替换了什么、何时、用哪台设备。由设备签名，并与前一条相扣。"),
    ("日志与检查点", "服务器把收到的每条变更和自己的每个动作依次写入只增不改的日志；检查点是对其大小和内容的签名。"),
    ("回执", "服务器证明某条变更或某个文件已在日志中的材料，可以独立验算。"),
    ("见证", "另一单位核对日志没有被改写之后的签名，载明见证时间。"),
    ("时间区间", "“不早于”取自采集人当时已见的检查点，“不晚于”取自其后的见证、可信时间戳或回执；设备时钟仅供参考。"),
    ("衍生件", "由原件制作的缩略图、水印图、遮盖图等，自有校验值并注明原件，不代替原件。"),
    ("等级", "依已签名的事实计算：A 两名以上持证人员依法检查所得；B 同前而手续有缺；C 暗访线索；D 巡查或线索。"),
]


# --- Pieces -------------------------------------------------------------------------------------------------------


def _verdict(said: dict[str, Finding], codes: Sequence[str]) -> Flowable:
    if not said:  # nobody has checked yet: which checks are about it
        return marked("<br/>".join(codes), "cell")
    return marked("<br/>".join(_coloured(said.get(code), code) for code in codes), "cell")


def _coloured(finding: Finding | None, code: str) -> str:
    word, colour = _OUTCOMES[finding.outcome if finding is not None else "not-checked"]
    return f'{code} <font color="{colour}">{word}</font>'


def _outcome(finding: Finding) -> Flowable:
    word, colour = _OUTCOMES[finding.outcome]
    return marked(f'<font color="{colour}">{word}</font>', "cell")


def _or_none(head: list[list[str]], rows: list[list[Any]], widths: list[float]) -> list[Flowable]:
    return [table(head, rows, widths)] if rows else [p(NONE, "body")]


def _or_none_flow(found: list[Flowable]) -> list[Flowable]:
    return found or [p(NONE, "body")]


def _time(ms: int | None) -> str:
    """Beijing time, which is the legal time of the whole country."""
    return "—" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
