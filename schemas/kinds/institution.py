"""机构: a training institution, or a place that teaches and may have no permit at all.

Register data belongs to the county: where an inspector and the register disagree, the county's value stands
and the inspector's stays visible in the history. What an inspector sees on the spot is added beside it:
when somebody verified the entry on site, what was seen (features, notes) and how it looked (evidence).
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import (
    Area,
    Attachments,
    Captions,
    Choice,
    CreditCode,
    Date,
    Entries,
    Flag,
    Integer,
    Moment,
    Notes,
    Point,
    Tags,
    Text,
)
from schemas.labels import Label

CATEGORIES = {
    "subject": Label("学科类", "School subjects"),
    "art": Label("艺术类", "Arts"),
    "sport": Label("体育类", "Sport"),
    "technology": Label("科技类", "Technology"),
    "culture": Label("文化类", "Culture"),
    "daycare": Label("托管类", "Day care"),
    "other": Label("其他或不明", "Other or unknown"),
}

MODES = {
    "offline": Label("线下", "On the spot"),
    "online": Label("线上", "Online"),
    "both": Label("线上线下结合", "Both"),
}

STATUSES = {
    "operating": Label("正常办学", "Operating"),
    "suspended": Label("暂停招生", "Not enrolling"),
    "rectifying": Label("停业整顿", "Closed for rectification"),
    "closing": Label("拟注销", "About to be cancelled"),
    "cancelled": Label("已注销", "Cancelled"),
    "converted": Label("已转型", "Converted"),
    "banned": Label("已取缔", "Banned"),
    "unlicensed": Label("疑似无证", "Suspected unlicensed"),
}

FEATURES = {
    "preschool": Label("招收学龄前儿童", "Takes children below school age"),
    "food": Label("供餐", "Serves meals"),
    "dorm": Label("住宿", "Has a dormitory"),
    "disguised": Label("疑似隐形变异", "Suspected training in disguise"),
}

DEPARTMENTS = {
    "education": Label("教育", "Education"),
    "sport": Label("体育", "Sport"),
    "culture": Label("文旅", "Culture and tourism"),
    "technology": Label("科技", "Science and technology"),
    "market": Label("市场监管", "Market supervision"),
    "fire": Label("消防救援", "Fire and rescue"),
    "police": Label("公安", "Police"),
    "housing": Label("住建", "Housing and construction"),
    "urban": Label("城管", "Urban management"),
    "civil": Label("民政", "Civil affairs"),
    "labour": Label("人社", "Human resources"),
    "health": Label("卫生健康", "Health"),
    "finance": Label("金融监管", "Financial supervision"),
    "cyberspace": Label("网信", "Cyberspace"),
}

LEVELS = {
    "province": Label("省级", "Province"),
    "city": Label("市级", "City"),
    "county": Label("县级", "County"),
    "township": Label("乡级", "Township"),
}

PARTY = {
    "organisation": Label("已建党组织", "Has a Party organisation"),
    "instructor": Label("已派党建指导员", "Party instructor assigned"),
    "none": Label("未覆盖", "Not covered"),
}


class Institution(RecordSchema):
    """One entry of the register."""

    kind = "institution"
    label = Label("机构", "Institution")
    makers = DESK_ROLES | {"inspector", "officer"}
    search = ("name", "address", "legal_representative", "credit_code", "permit_number")
    sorts = ("name", "status", "category", "permit_until")
    sections = (
        Section(
            Label("登记", "Register"),
            ("name", "credit_code", "permit_number", "permit_until", "status", "platform_code"),
        ),
        Section(Label("培训", "Training"), ("category", "mode", "features", "learners", "teachers", "party")),
        Section(Label("地点", "Place"), ("area", "address", "place")),
        Section(Label("联系", "Contact"), ("legal_representative", "phone")),
        Section(
            Label("监管", "Supervision"),
            ("department", "departments", "responsible", "prepaid_supervised", "remark"),
        ),
        Section(Label("现场", "On site"), ("verified_at", "notes", "evidence", "captions")),
    )

    name = Text(Label("机构名称", "Name"), merge="authority", required=True)
    credit_code = CreditCode(Label("统一社会信用代码", "Unified social credit code"), merge="authority")
    permit_number = Text(Label("办学许可证号", "Permit number"), most=60, merge="authority")
    permit_until = Date(Label("许可证有效期至", "Permit valid until"), merge="authority")
    status = Choice(Label("状态", "Status"), STATUSES, merge="authority")
    category = Choice(Label("机构类别", "Category"), CATEGORIES, merge="authority")
    mode = Choice(Label("培训形式", "Form of training"), MODES, merge="authority")
    features = Tags(Label("特征", "Features"), options=FEATURES)
    area = Area(
        Label("行政区划代码", "Division code"),
        merge="authority",
        required=True,
        hint=Label("填到社区（村），12 位", "Down to the community or village: 12 digits"),
    )
    address = Text(Label("详细地址", "Address"), most=300, merge="authority")
    place = Point(Label("位置", "Position"), merge="authority")
    legal_representative = Text(Label("法定代表人", "Legal representative"), most=60, merge="authority")
    phone = Text(Label("联系电话", "Telephone"), most=60, merge="latest")
    learners = Integer(Label("学员人数", "Learners"), least=0, unit="人", merge="authority")
    teachers = Integer(Label("教师人数", "Teachers"), least=0, unit="人", merge="authority")
    prepaid_supervised = Flag(Label("预收费监管", "Prepaid fees supervised"), merge="authority")
    platform_code = Text(Label("全国平台编码", "National platform code"), most=60, merge="authority")
    department = Text(Label("主管部门", "Department in charge"), most=100, merge="authority")
    departments = Tags(Label("共管部门", "Departments involved"), options=DEPARTMENTS)
    responsible = Entries(
        Label("四级包保责任人", "People responsible at four levels"),
        {"name": Label("姓名", "Name"), "post": Label("职务", "Post"), "phone": Label("电话", "Telephone")},
        options=LEVELS,
        merge="authority",
    )
    party = Choice(Label("党建覆盖", "Party coverage"), PARTY, merge="authority")
    remark = Text(Label("备注", "Remark"), most=2000, lines=True, merge="authority")
    verified_at = Moment(
        Label("现场核实时间", "Verified on site"),
        merge="latest",
        hint=Label("核实人即填写人", "Who verified it is who wrote it"),
    )
    notes = Notes(Label("情况记录", "Notes"))
    evidence = Attachments(Label("照片与文件", "Photos and files"))
    captions = Captions(Label("说明", "Captions"))
