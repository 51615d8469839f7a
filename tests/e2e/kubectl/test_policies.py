"""Admission policies as kubectl's users meet them: refusals and warnings of what they apply."""

from __future__ import annotations

import pytest

from tests.support.kubectls import InNamespace

pytestmark = pytest.mark.kubectl

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  variables:
  - {name: most, expression: '3'}
  validations:
  - expression: object.spec.replicas <= variables.most
    messageExpression: "'no more than ' + string(variables.most) + ' replicas'"
"""
BINDING = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: NAME, validationActions: [ACTION]}
"""


def test_a_policy_refuses_and_then_only_warns(k: InNamespace) -> None:
    name = k.namespace
    try:
        k("apply", "-f", "-", stdin=POLICY.replace("NAME", name))
        k("apply", "-f", "-", stdin=BINDING.replace("NAME", name).replace("ACTION", "Deny"))
        k("create", "deployment", "web", "--image=nginx:1.27")
        done = k.run("create", "deployment", "big", "--image=nginx:1.27", "--replicas=4", check=False)
        assert done.returncode == 1
        refusal = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: no more than 3"
        assert f'deployments.apps "big" is forbidden: {refusal} replicas' in done.stderr
        done = k.run("set", "image", "deployment/web", "nginx=nginx:1.28", "--dry-run=server", check=False)
        assert done.returncode == 0
        assert k.json("get", "validatingadmissionpolicy", name)["status"]["typeChecking"] == {}
        k("apply", "-f", "-", stdin=BINDING.replace("NAME", name).replace("ACTION", "Warn"))
        done = k.run("create", "deployment", "big", "--image=nginx:1.27", "--replicas=4")
        assert f"Warning: Validation failed for ValidatingAdmissionPolicy '{name}'" in done.stderr
    finally:
        k("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)
