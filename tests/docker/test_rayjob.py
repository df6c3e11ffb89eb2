"""The RayJob for KubeRay: its pods by Kubernetes' schema, and KubeRay's own keys, whose schema no package has."""

import shlex

import pytest
import yaml

from tests.docker.shipped import COMPOSE, FOLDER, PROJECT, RAYJOB, check, load, locked

JOB = load(RAYJOB)
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = {
    "head": CLUSTER["headGroupSpec"],
    **{group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]},
}
KUBERNETES = "1.33"

KNOWN = {
    "RayJobSpec": {
        "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint",
        "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata",
        "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode", "submitterConfig",
        "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished",
    },
    "RayClusterSpec": {
        "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec",
        "headServiceAnnotations", "managedBy", "rayVersion", "suspend", "workerGroupSpecs",
    },
    "HeadGroupSpec": {"enableIngress", "headService", "labels", "rayStartParams", "resources", "serviceType", "template"},
    "WorkerGroupSpec": {
        "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts", "rayStartParams",
        "replicas", "resources", "scaleStrategy", "suspend", "template",
    },
}  # fmt: skip # a key a line would fill a page
"""The keys of ray.io/v1 in KubeRay 1.5."""


def test_it_is_a_ray_job_and_has_no_key_that_kuberay_does_not_know():
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert set(JOB) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(JOB["spec"]) <= KNOWN["RayJobSpec"]
    assert set(CLUSTER) <= KNOWN["RayClusterSpec"]
    assert set(CLUSTER["headGroupSpec"]) <= KNOWN["HeadGroupSpec"]
    for group in CLUSTER["workerGroupSpecs"]:
        assert set(group) <= KNOWN["WorkerGroupSpec"]
    for group in GROUPS.values():
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("name", GROUPS, ids="pod of {}".format)
def test_its_pods_are_pods(name, tmp_path):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **GROUPS[name]["template"]}
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump(pod))
    check("kubernetes-validate", "--strict", "--quiet", "-k", KUBERNETES, path)


def test_a_pod_that_is_none_would_be_seen(tmp_path):
    path = tmp_path / "pod.yaml"
    path.write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"nmae": "x"}]}})
    )
    with pytest.raises(AssertionError):
        check("kubernetes-validate", "--strict", "-k", KUBERNETES, path)


def test_it_is_tried_again_on_a_new_cluster_and_ends_with_the_search():
    assert JOB["spec"]["backoffLimit"] >= 3
    assert JOB["spec"]["shutdownAfterJobFinishes"] is True
    assert CLUSTER["authOptions"] == {"mode": "token"}  # and KubeRay makes the token


def test_the_head_trains_nothing_and_each_worker_has_two_gpus():
    assert {"num-cpus": "0", "num-gpus": "0"}.items() <= CLUSTER["headGroupSpec"]["rayStartParams"].items()
    (worker,) = GROUPS["gpu"]["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert worker["resources"]["requests"] == worker["resources"]["limits"]


@pytest.mark.parametrize("name", GROUPS, ids="pod of {}".format)
def test_a_pod_is_nobody_has_the_searches_and_gets_secrets_by_reference(name):
    spec = GROUPS[name]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    environment = {variable["name"]: variable for variable in container["env"]}
    assert environment["RAY_AUTH_MODE"]["value"] == "token"
    assert environment["RAY_USAGE_STATS_ENABLED"]["value"] == "0"
    assert "RAY_AUTH_TOKEN" not in environment
    assert "value" not in environment.get("PGPASSWORD", {})
    assert ("PGPASSWORD" in environment) == (name == "head")  # drivers run there
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert set(mounts) == {"/home/evosearch/searches", "/data"}
    assert set(mounts.values()) <= volumes


def test_its_version_of_ray_and_its_image_are_those_of_the_project():
    assert locked(FOLDER / "requirements.txt")["ray"] == CLUSTER["rayVersion"]
    images = {
        container["image"]
        for group in GROUPS.values()
        for container in group["template"]["spec"]["containers"]
    }
    assert images == {load(COMPOSE)["services"]["head"]["image"]}


def test_its_configuration_lies_in_the_image():
    config = shlex.split(JOB["spec"]["entrypoint"])[2]
    assert config.startswith("/home/evosearch/configs/")
    assert (PROJECT / config.removeprefix("/home/evosearch/")).is_file()
