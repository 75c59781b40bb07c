"""Each fault of the table does what its flags say, in process and on a real port."""

import io
import json
import threading

import pytest
import requests

from portal.getscreen.simulator import FAULTS, OPERATIONS, TABLE, Simulator, serve
from portal.getscreen.simulator.faults import OnTheConnection
from tests.simulated import mount

KEY = "test-key-not-real"
NETWORK_ON_PORT = [name for name in FAULTS if TABLE[name].network and TABLE[name].on_port]
# Short enough for tests, and longer than the pauses below.
TIMEOUT = 0.2
PAUSES = {"slow": {"seconds": 0.3}, "drip": {"interval": 0.3}, "drip_headers": {"interval": 0.3}}


class Answered:
    """Calls an operation straight by WSGI, as far as a WSGI answer goes."""

    PATHS = {
        "list": ("GET", "/v1/support/list"),
        "info": ("GET", "/v1/support/info"),
        "create": ("POST", "/v1/support/create"),
        "update": ("POST", "/v1/support/update"),
        "connect": ("POST", "/v1/support/connect"),
        "close": ("POST", "/v1/support/close"),
        "history": ("GET", "/v1/history/list"),
        "preview": ("GET", "/preview/x.png"),
    }

    def __init__(self, simulator: Simulator, operation: str) -> None:
        self.simulator = simulator
        self.method, self.path = self.PATHS[operation]
        self.body = b""
        self.status = ""

    def __call__(self) -> str:
        """The status, or the name of the fault for which WSGI has no answer."""
        sent = json.dumps({"connection_id": 20177, "name": "x"}).encode()
        environ = {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": self.path,
            "QUERY_STRING": "connection_id=20177",
            "CONTENT_LENGTH": str(len(sent)),
            "wsgi.input": io.BytesIO(sent),
            "HTTP_X_API_KEY": KEY,
        }
        try:
            self.body = b"".join(self.simulator(environ, self._start))
        except OnTheConnection as fault:
            self.status = str(fault)
        return self.status

    def _start(self, status, headers, exc_info=None):
        self.status = status[:3]


@pytest.fixture
def simulator():
    return Simulator(api_key=KEY, seed=1)


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Api-Key"] = KEY
        yield session


@pytest.fixture
def in_process(session, simulator):
    mount(session, simulator, "http://127.0.0.1:1/v1")
    return "http://127.0.0.1:1/v1"


@pytest.fixture
def on_port(simulator):
    with serve(simulator) as server:
        yield server.url


def create(session: requests.Session, url: str, timeout: float = TIMEOUT) -> requests.Response:
    return session.post(f"{url}/support/create", timeout=timeout, allow_redirects=False)


def outcome(session: requests.Session, url: str) -> str | int:
    try:
        return create(session, url).status_code
    except requests.RequestException as error:
        return type(error).__name__


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_acts_as_the_table_says(session, simulator, in_process, name):
    simulator.fail("create", name, **PAUSES.get(name, {}))
    outcome(session, in_process)
    assert simulator.ledger.count("created") == TABLE[name].acts
    assert create(session, in_process).status_code == 200


@pytest.mark.parametrize("name", FAULTS)
def test_network_faults_and_only_they_leave_no_answer(session, simulator, in_process, name):
    simulator.fail("create", name, **PAUSES.get(name, {}))
    assert isinstance(outcome(session, in_process), str) == TABLE[name].network


@pytest.mark.parametrize("name", NETWORK_ON_PORT)
def test_a_real_port_fails_as_the_simulated_connection_does(session, simulator, in_process, on_port, name):
    outcomes = []
    for url in (in_process, on_port):
        simulator.fail("create", name, **PAUSES.get(name, {}))
        outcomes.append(outcome(session, url))
        simulator.clear()
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], str)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_planned_for_every_operation(simulator, name, operation):
    answer = Answered(simulator, operation)
    simulator.fail(operation, name)
    answer()
    assert simulator.refuses_connections() is False


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("refused", requests.ConnectionError),
        ("no_such_host", requests.ConnectionError),
        ("connect_timeout", requests.ConnectTimeout),
        ("bad_certificate", requests.exceptions.SSLError),
        ("reset_before", requests.ConnectionError),
        ("hang", requests.ReadTimeout),
        ("hang_after", requests.ReadTimeout),
        ("drip_headers", requests.ReadTimeout),
        ("drip", requests.ConnectionError),
        ("truncated", requests.exceptions.ChunkedEncodingError),
        ("reset_mid_body", requests.exceptions.ChunkedEncodingError),
        ("broken_chunks", requests.exceptions.ChunkedEncodingError),
        ("hang_up", requests.ConnectionError),
    ],
)
def test_the_error_is_the_one_requests_raises(session, simulator, in_process, name, error):
    simulator.fail("list", name)
    with pytest.raises(error) as caught:
        session.get(f"{in_process}/support/list", timeout=4)
    assert type(caught.value) is error


def test_faults_come_in_the_order_they_were_planned(session, simulator, in_process):
    simulator.fail("create", "status_500", times=2)
    simulator.fail("*", "status_503")
    simulator.fail("create", "status_400", times=None)
    assert [outcome(session, in_process) for _ in range(5)] == [500, 500, 503, 400, 400]
    simulator.clear()
    assert outcome(session, in_process) == 200


def test_a_fault_concerns_its_operation_only(session, simulator, in_process):
    simulator.fail("list", "status_500")
    simulator.fail("*", "refused", times=None)
    assert session.get(f"{in_process}/support/list", timeout=1).status_code == 500
    assert outcome(session, in_process) == "ConnectionError"


def test_landing_pages_are_not_the_api(session, simulator, in_process):
    simulator.fail("*", "status_500", times=None)
    assert session.get("https://go.getscreen.me/invite/1", timeout=1).status_code == 404


@pytest.mark.parametrize(("operation", "name"), [("lists", "refused"), ("list", "refuse")])
def test_a_misspelt_plan_is_an_error(simulator, operation, name):
    with pytest.raises(ValueError, match="no such"):
        simulator.fail(operation, name)


def test_a_502_may_follow_a_create_that_happened(session, simulator, in_process):
    simulator.fail("create", "status_502", acts=True)
    assert outcome(session, in_process) == 502
    assert simulator.ledger.count("created") == 1


def test_many_threads_share_out_the_planned_faults(simulator):
    simulator.fail("list", "status_500", times=20)
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.extend(Answered(simulator, "list")() for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count("500") == 20
    assert statuses.count("200") == 20


@pytest.mark.parametrize("value", ["0", "-1", 10**9, "soon", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_retry_after_can_be_absurd(session, simulator, in_process, value):
    simulator.fail("create", "status_429", retry_after=value)
    assert create(session, in_process).headers["Retry-After"] == str(value)


def test_without_the_option_there_is_no_retry_after(session, simulator, in_process):
    simulator.fail("create", "status_429")
    simulator.fail("create", "status_429_retry_after")
    headers = [create(session, in_process).headers.get("Retry-After") for _ in range(2)]
    assert headers == [None, "7"]


def test_redirects_lead_elsewhere(session, simulator, in_process):
    simulator.fail("create", "redirect")
    simulator.fail("create", "redirect_307", location="https://other.invalid/")
    first, second = create(session, in_process), create(session, in_process)
    assert (first.status_code, first.headers["Location"]) == (
        302,
        "https://elsewhere.invalid/v1/support/list",
    )
    assert (second.status_code, second.headers["Location"]) == (307, "https://other.invalid/")


def test_with_a_clock_a_drip_lasts_as_long_as_its_pauses(simulator):
    pauses = []
    with requests.Session() as session:
        mount(session, simulator, "http://127.0.0.1:1/v1", sleep=pauses.append)
        simulator.fail("list", "drip", interval=0.5)
        headers = {"X-Api-Key": KEY}
        answer = session.get("http://127.0.0.1:1/v1/support/list", headers=headers, timeout=1)
    assert answer.json()["data"] == []
    assert pauses == [0.5] * len(answer.content)


def test_with_a_clock_a_hang_lasts_until_the_timeout(simulator):
    pauses = []
    with requests.Session() as session:
        mount(session, simulator, "http://127.0.0.1:1/v1", sleep=pauses.append)
        simulator.fail("list", "hang")
        with pytest.raises(requests.ReadTimeout):
            session.get("http://127.0.0.1:1/v1/support/list", timeout=(2, 4))
    assert pauses == [4]


def body(simulator: Simulator, operation: str, name: str, **options) -> bytes:
    simulator.fail(operation, name, **options)
    answer = Answered(simulator, operation)
    answer()
    return answer.body


def data(simulator: Simulator, operation: str, name: str, **options):
    return json.loads(body(simulator, operation, name, **options))["data"]


def test_odd_rows_come_in_lists(simulator):
    simulator.add("Jo", status=1)
    assert len(data(simulator, "list", "many_rows")) == 5_000
    assert [row.get("id") for row in data(simulator, "list", "odd_ids")[1:]] == [
        None,
        None,
        True,
        1.5,
        -1,
        "x",
    ]
    assert len(data(simulator, "list", "duplicate_ids")) == 2
    assert data(simulator, "list", "unknown_status")[0]["status"] == 7
    assert data(simulator, "list", "unknown_os")[0]["client_os"] == "beos"
    assert data(simulator, "list", "wrong_types")[0]["client_name"] == ["Jo"]
    assert data(simulator, "list", "null_name")[0]["client_name"] is None
    assert data(simulator, "list", "odd_time", value="today")[0]["create_time"] == "today"


def test_odd_shapes(simulator):
    simulator.add()
    assert data(simulator, "list", "null_data") is None
    assert data(simulator, "info", "text_data") == "none"
    assert isinstance(json.loads(body(simulator, "list", "bare_list")), list)
    assert isinstance(json.loads(body(simulator, "create", "bare_list")), list)
    assert "remain" not in json.loads(body(simulator, "list", "no_remain"))
    assert json.loads(body(simulator, "list", "odd_remain", value=-5))["remain"] == -5
    assert json.loads(body(simulator, "update", "update_status_4")) == {"status": 4}
    assert json.loads(body(simulator, "update", "unknown_status")) == {"status": 7}
    assert data(simulator, "info", "wrong_id")["id"] == 20178


def test_odd_bytes(simulator):
    simulator.add()
    assert body(simulator, "list", "empty") == b""
    assert b"guest network" in body(simulator, "list", "html")
    assert len(body(simulator, "list", "huge")) > 8 * 1024 * 1024
    assert body(simulator, "list", "gzip").startswith(b"\x1f\x8b")
    assert body(simulator, "list", "bom").startswith(b"\xef\xbb\xbf{")
    assert body(simulator, "list", "utf16").startswith(b"\xff\xfe")
    assert b"\xff" in body(simulator, "list", "invalid_utf8")
    assert b"NaN" in body(simulator, "list", "nan")
    assert body(simulator, "list", "deep", levels=3).startswith(b'{"extra": [[[]]], ')
    assert body(simulator, "list", "trailing_comma").endswith(b",}")
    assert body(simulator, "update", "duplicate_keys") == b'{"status": 4, "status": 0}'
    assert body(simulator, "close", "duplicate_keys") == b""


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("ampersand", "https://https://go.getscreen.me/?connect=20177&amp;llt="),
        ("doubled_scheme", "https://https://go.getscreen.me/?"),
        ("tripled_scheme", "https://https://https://go.getscreen.me/?"),
        ("foreign_host", "https://getscreen.me.evil.example/?connect="),
        ("http_link", "http://go.getscreen.me/?connect="),
        ("hostile_link", "javascript:"),
    ],
)
def test_odd_links(simulator, name, start):
    simulator.add(status=1)
    assert data(simulator, "connect", name)["url"].startswith(start)


def test_the_vendor_s_clock_can_be_wrong(session, simulator, in_process):
    simulator._clock = lambda: 1_800_000_000.0
    usual = create(session, in_process).headers["Date"]
    simulator.fail("create", "skewed_date", seconds=-86_400)
    assert usual == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert create(session, in_process).headers["Date"] == "Thu, 14 Jan 2027 08:00:00 GMT"
