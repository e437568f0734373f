"""证据: one captured or derived file, and what is known about how it came to be.

A record names its evidence on `evidence/<id>` by digest, which puts the digest under the signatures there;
this record has the same id and holds the circumstances. Bytes are never touched: a watermarked or blurred
copy is evidence of its own, with role `derived`, a reference to its original and what was done to it. Only
thumbnail and preview are named by the original itself: they are for the screen and prove nothing. Nothing is
removed: what must not be shown is hidden with a reason.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Choice, Digest, Integer, Moment, Point, Ref, Rows, Text
from schemas.labels import Label

ROLES = {
    "original": Label("原件", "Original"),
    "derived": Label("衍生件", "Derived"),
}

SOURCES = {
    "camera": Label("本机拍摄", "This tablet's camera"),
    "gallery": Label("相册导入", "From the gallery"),
    "recorder": Label("执法记录仪", "Body recorder"),
    "screen": Label("屏幕截取", "Screen capture"),
}

OPERATIONS = {
    "watermark": Label("加水印", "Watermarked"),
    "redact": Label("遮挡", "Redacted"),
    "clip": Label("截取", "Clipped"),
    "transcode": Label("转换格式", "Converted"),
    "transcript": Label("转写文字", "Transcribed"),
    "enhance": Label("增强处理", "Enhanced"),
    "rotate": Label("旋转", "Turned"),
    "annotate": Label("标注", "Marked up"),
}

_HEX = r"[0-9a-f]{64}"
CODE = r"[0-9A-HJKMNP-TV-Z]{13}"

STAGES = {
    "before": Label("整改前", "Before"),
    "after": Label("整改后", "After"),
}

MINORS = {
    "visible": Label("出现未成年人，未遮挡不得导出", "Minors are visible: not exported unless they are covered"),
    "hidden": Label("未成年人已遮挡", "Minors are covered in this copy"),
    "none": Label("经查看，未出现未成年人", "Looked at: no minors"),
}

REPEAT_REASONS = {
    "same-scene": Label("同一现场再次取证", "The same scene, recorded again"),
    "unchanged": Label("复查时状况未变", "Unchanged at the second visit"),
    "other-record": Label("同一照片用于另一条记录", "The same photo serves another record"),
    "sent-again": Label("重复导入或重传", "Imported or sent again"),
    "notice": Label("统一张贴的标识、公示或文书", "A sign, notice or document that hangs everywhere"),
    "different": Label("经核对不是同一场景", "Looked at: not the same scene"),
    "other": Label("其他（请说明）", "Other, in words"),
}

# 行政处罚法第四十六条: the closed list of eight kinds of evidence
STATUTORY_KINDS = {
    "documentary": Label("书证", "Documentary evidence"),
    "physical": Label("物证", "Physical evidence"),
    "audiovisual": Label("视听资料", "Audio-visual material"),
    "electronic": Label("电子数据", "Electronic data"),
    "testimony": Label("证人证言", "Testimony of a witness"),
    "statement": Label("当事人的陈述", "Statement of the party"),
    "opinion": Label("鉴定意见", "Expert opinion"),
    "record": Label("勘验笔录、现场笔录", "Record of examination or of the scene"),
}


class Evidence(RecordSchema):
    """One file."""

    kind = "evidence"
    label = Label("证据", "Evidence")
    title = "caption"
    makers = DESK_ROLES | {
        "inspector",
        "officer",
        "supervisor",
    }  # an undercover team seals its material instead
    search = ("caption",)
    indexed = ("code", "original", "sha256")
    sorts = ("captured_at",)
    sections = (
        Section(Label("内容", "Content"), ("caption", "statutory_kind", "proves", "transcript", "stage")),
        Section(Label("归属", "Belongs to"), ("subject", "subject_kind", "item", "area")),
        Section(
            Label("文件", "File"),
            ("sha256", "sm3", "tree", "size", "mime", "width", "height", "orientation", "duration_ms", "pages", "exif"),
        ),
        Section(
            Label("采集", "Capture"),
            ("source", "equipment", "camera", "taken_at", "captured_at", "place", "phash"),
        ),
        Section(
            Label("衍生", "Derivation"),
            ("role", "original", "operation", "parameters", "tool", "code", "thumbnail", "preview"),
        ),
        Section(Label("相似", "Likeness"), ("repeats", "repeat_reason", "repeat_note", "fingerprint")),
        Section(Label("隐藏", "Hiding"), ("minors", "hidden")),
    )

    subject = Ref(Label("所属记录", "Record that it belongs to"), "*", frozen=True, required=True)
    subject_kind = Text(
        Label("记录类型", "Kind of that record"), most=40, pattern="[a-z][a-z0-9_]*", frozen=True
    )
    item = Text(Label("检查事项代码", "Item of the checklist"), most=100, pattern=r"[A-Za-z0-9._-]+")
    area = Area(Label("行政区划代码", "Division code"), required=True)
    sha256 = Digest(Label("校验值 SHA-256", "SHA-256"), frozen=True, required=True)
    tree = Text(
        Label("分块校验树", "Chunk tree"),
        most=64,
        pattern=_HEX,
        frozen=True,
        hint=Label("每 1 MiB 一块，RFC 6962", "One leaf for each MiB, RFC 6962"),
    )
    sm3 = Text(
        Label("校验值 SM3", "SM3"),
        most=64,
        pattern=_HEX,
        hint=Label("采集后在后台计算", "Computed in the background after capture"),
    )
    size = Integer(Label("字节数", "Bytes"), least=1, unit="B", frozen=True, required=True)
    mime = Text(
        Label("文件类型", "Media type"), most=100, pattern="[a-z]+/[a-z0-9.+-]+", frozen=True, required=True
    )
    role = Choice(Label("原件或衍生", "Original or derived"), ROLES, frozen=True, required=True)
    original = Ref(Label("对应原件", "Its original"), "evidence", frozen=True)
    operation = Choice(Label("处理方式", "What was done to it"), OPERATIONS, frozen=True)
    parameters = Rows(Label("处理参数", "In detail"), frozen=True)
    tool = Text(Label("处理工具", "Tool"), most=200, frozen=True)
    code = Text(
        Label("核验码", "Verification code"),
        most=13,
        pattern=CODE,
        frozen=True,
        hint=Label("印在水印副本上，凭此查原件", "Printed on watermarked copies, leads to the original"),
    )
    thumbnail = Digest(Label("缩略图", "Thumbnail"))
    preview = Digest(Label("预览图", "Preview"))
    source = Choice(Label("来源", "Source"), SOURCES, frozen=True)
    equipment = Text(Label("设备编号", "Equipment"), most=100, frozen=True)
    camera = Text(Label("相机型号", "Camera"), most=100, frozen=True)
    taken_at = Moment(
        Label("文件所载拍摄时间", "Time in the file"),
        frozen=True,
        hint=Label("照片自带（EXIF），可能不准", "As the camera wrote it (EXIF); it may be wrong"),
    )
    captured_at = Moment(Label("采集时间", "Captured"), frozen=True)
    place = Point(Label("位置", "Position"), frozen=True)
    width = Integer(Label("宽", "Width"), least=1, unit="px", frozen=True)
    height = Integer(Label("高", "Height"), least=1, unit="px", frozen=True)
    orientation = Integer(Label("方向", "Orientation"), least=1, most=8, frozen=True)
    duration_ms = Integer(Label("时长", "Duration"), least=1, unit="ms", frozen=True)
    pages = Integer(Label("页数", "Pages"), least=1)
    exif = Text(
        Label("EXIF 校验值", "Digest of the EXIF block"),
        most=64,
        pattern=_HEX,
        frozen=True,
        hint=Label("原件中 EXIF 数据块的 SHA-256", "SHA-256 of the block as it lies in the original"),
    )
    phash = Text(
        Label("感知指纹", "Perceptual hash"),
        most=64,
        pattern=r"[0-9a-f]*",
        hint=Label("用于发现相似照片，不作证明", "Finds photos that look alike; proves nothing"),
    )
    fingerprint = Text(
        Label("特征指纹", "Fingerprint"),
        most=2000,
        pattern=r"[0-9a-f]*",
        hint=Label("用于发现裁剪、翻拍等重复照片，不作证明", "Finds cropped and repeated photos; proves nothing"),
    )
    repeats = Ref(Label("疑似重复的证据", "Evidence that it repeats"), "evidence")
    repeat_reason = Choice(Label("重复的原因", "Why it repeats"), REPEAT_REASONS)
    repeat_note = Text(Label("重复的说明", "In words"), most=1000)
    statutory_kind = Choice(Label("证据种类", "Kind of evidence in law"), STATUTORY_KINDS)
    stage = Choice(Label("整改前后", "Before or after"), STAGES)
    caption = Text(Label("说明", "Caption"), merge="latest")
    proves = Text(Label("证明对象", "What it proves"), most=1000, lines=True)
    transcript = Text(Label("文字记录", "Transcript"), most=20_000, lines=True)
    minors = Choice(
        Label("未成年人", "Minors"),
        MINORS,
        hint=Label("未成年人保护法：不得泄露可识别的信息", "The law on minors: nothing by which one could be identified"),
    )
    hidden = Text(
        Label("隐藏原因", "Reason for hiding it"),
        most=1000,
        writer="staff",
        hint=Label("为空即显示；隐藏不删除", "Empty: it is shown; hiding removes nothing"),
    )
