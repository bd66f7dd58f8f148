from postal_server.mail.aggregate_report import Aggregate
from postal_server.mail.report import Kind, read
from tests.each import each

NAME = "dest.example!shop.example!1793491200!1793577599"
XML = '<?xml version="1.0"?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">\n</feedback>\n'


def mail(content_type, body="UEsDBA==", header=""):
    return (
        f"From: noreply-dmarc@dest.example\nSubject: Report Domain: shop.example\n{header}MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nThis is a report.\n--b\n'
        f"Content-Type: {content_type}\n\n{body}\n--b--\n"
    ).encode()


@each(
    "raw, kind",
    [
        (mail(f'application/gzip; name="{NAME}.xml.gz"'), Kind.DMARC),
        (mail(f'application/zip; name="{NAME}!id42.zip"'), Kind.DMARC),
        (mail(f'application/octet-stream; name="{NAME}.xml.gz"'), Kind.DMARC),
        (mail(f'text/xml; name="{NAME}.xml"', XML), Kind.DMARC),
        (mail('application/xml; name="report.xml"', XML), Kind.DMARC),
        (mail("application/tlsrpt+gzip"), Kind.TLS),
        (mail("application/tlsrpt+json", "{}"), Kind.TLS),
        (mail(f'application/gzip; name="{NAME}.json.gz"'), Kind.TLS),
        (
            mail("text/plain").replace(b"multipart/mixed;", b'multipart/report; report-type="tlsrpt";'),
            Kind.TLS,
        ),
        (mail('application/gzip; name="invoice.gz"'), Kind.REPLY),
        (mail('text/xml; name="data.xml"', "<data/>"), Kind.REPLY),
        (mail(f'image/png; name="{NAME}.xml.gz"'), Kind.REPLY),
        (f"Content-Type: application/zip; name={NAME}.zip\n\nUEsDBA==".encode(), Kind.DMARC),
    ],
    ids=[
        "gzip",
        "zip with an id",
        "octet-stream",
        "bare XML",
        "XML of another name",
        "TLS gzip",
        "TLS JSON",
        "TLS by its name",
        "TLS by its report type",
        "another archive",
        "other XML",
        "a picture",
        "nothing else in the mail",
    ],
)
def test_aggregate_reports_are_known_by_type_and_name(raw, kind):
    found = read(raw, "noreply-dmarc@dest.example")
    assert found.kind is kind
    assert found.recognizer in ("", *(aggregate.value for aggregate in Aggregate))
