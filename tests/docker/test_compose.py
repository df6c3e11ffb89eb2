"""The compose file: a head, two workers with two GPUs each, PostgreSQL, and who submits."""

from tests.docker.shipped import COMPOSE, PROJECT, check, load

SERVICES = load(COMPOSE)["services"]
RAY = ("head", "worker-1", "worker-2", "search")


def test_it_is_a_compose_file():
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_it_has_a_head_that_trains_nothing_and_two_workers_with_two_gpus_of_their_own_each():
    assert set(SERVICES) == {*RAY, "postgres"}
    assert {"--head", "--num-cpus=0", "--num-gpus=0"} <= set(SERVICES["head"]["command"])
    devices = []
    for worker in ("worker-1", "worker-2"):
        assert {"--address=head:6379", "--num-gpus=2", "--block"} <= set(SERVICES[worker]["command"])
        (reserved,) = SERVICES[worker]["deploy"]["resources"]["reservations"]["devices"]
        assert (reserved["driver"], reserved["capabilities"]) == ("nvidia", ["gpu"])
        devices += reserved["device_ids"]
    assert sorted(devices) == ["0", "1", "2", "3"]


def test_all_of_ray_has_the_token_as_a_file_and_room_for_its_object_store():
    for name in RAY:
        service = SERVICES[name]
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert "ray_token" in service["secrets"]
        assert service["shm_size"] == "8gb"


def test_a_service_waits_until_what_it_needs_is_well():
    waits = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert waits["head"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("worker-1", "worker-2", "search"):
        assert waits[name] == {"head": {"condition": "service_healthy"}}
    for name in ("head", "postgres"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_only_the_dashboard_is_reached_and_from_this_machine_alone():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"head": ["127.0.0.1:8265:8265"]}


def test_secrets_are_files_that_are_not_shipped():
    secrets = load(COMPOSE)["secrets"]
    used = {name for service in SERVICES.values() for name in service.get("secrets", ())}
    assert used == set(secrets)
    for secret in secrets.values():
        assert secret["file"].startswith("./secrets/")


def test_a_search_is_submitted_and_waited_for():
    search = SERVICES["search"]
    assert search["profiles"] == ["search"]  # `up` starts none
    command = [*search["entrypoint"], *search["command"]]
    assert command[:4] == ["tini", "--", "evosearch", "submit"]
    assert "--wait" in command
    assert (PROJECT / command[-1]).is_file()
