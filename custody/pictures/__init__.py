"""Pictures made from what was captured: thumbnail, preview, watermarked copy, poster of a film, first page of a PDF.

Whatever decodes a file from outside runs in a bounded worker process, on the tablet as on the server:

    orders.py     what may be asked for, and what comes back          (any device; no library)
    workshop.py   starts the worker, serves it bytes, stops it        (needs processes)
    worker.py     the process: binds itself, takes orders
    draw.py       Pillow, films.py PyAV, pages.py pdfium              (inside the worker only)
    watermark.py  the text on a derivative                            (inside the worker only)

Originals are read and never written. A derivative is drawn anew: no comment, EXIF or profile of its source is in it.
"""
