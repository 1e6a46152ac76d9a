"""Alerts of Microsoft Defender in the three forms that its interfaces give them.

Defender for Endpoint: `evidence` with an `entityType`. Defender XDR's incidents: `entities` with an `entityType`.
Microsoft Graph (`alerts_v2`, incidents with alerts): `evidence` with an `@odata.type`. What they name becomes rows
of the advanced-hunting tables, whose columns are the same product's.
"""

from __future__ import annotations

from collections.abc import Iterator

from perilune.readers.alert_fields import (
    Event,
    Raw,
    Told,
    filled,
    object_of,
    objects_of,
    path_of,
    techniques_of,
    text_of,
)

_TIMES = ("lastEventTime", "lastActivity", "lastActivityDateTime", "firstEventTime", "firstActivity",
          "firstActivityDateTime", "alertCreationTime", "creationTime", "createdDateTime")  # fmt: skip
_KIND = "defender:"


def is_alert(record: Raw) -> bool:
    """By the list of evidence and by how the product names its times; an incident has neither."""
    if "alerts" in record:
        return False
    has_evidence = isinstance(record.get("evidence"), list) or isinstance(record.get("entities"), list)
    return has_evidence and ("title" in record) and any(name in record for name in _TIMES)


def tell(record: Raw, incident: Raw | None) -> Told:
    around = incident or {}
    evidence = [*objects_of(record.get("evidence")), *objects_of(record.get("entities"))]
    host, device = _host(record, evidence)
    return Told(
        product="Microsoft Defender",
        id=text_of(record.get("alertId")) or text_of(record.get("id")),
        title=text_of(record.get("title")) or "unnamed alert",
        severity=text_of(record.get("severity")),
        host=host,
        description=text_of(record.get("description")),
        techniques=techniques_of(record.get("mitreTechniques")),
        incident=text_of(record.get("incidentId")) or text_of(around.get("incidentId")) or text_of(around.get("id")),
        link=text_of(record.get("alertWebUrl")) or text_of(around.get("incidentUri")),
        events=tuple(_events(record, evidence, host, device)),
    )


def _host(record: Raw, evidence: list[Raw]) -> tuple[str, str]:
    """The device's name and id: of the alert, of its devices, or of the evidence."""
    places = [record, *objects_of(record.get("devices")), *evidence]
    names = (text_of(one.get(name)) for one in places for name in ("computerDnsName", "deviceDnsName", "hostName"))
    ids = (text_of(one.get(name)) for one in places for name in ("machineId", "mdatpDeviceId", "mdeDeviceId"))
    return next(filter(None, names), ""), next(filter(None, ids), "")


def _events(record: Raw, evidence: list[Raw], host: str, device: str) -> Iterator[Event]:
    time = next((text_of(record[name]) for name in _TIMES if text_of(record.get(name))), "")
    base = {"Timestamp": time, "DeviceName": host, "DeviceId": device}
    for one in evidence:
        kind = text_of(one.get("entityType")).lower() or _of_graph(one)
        made = _MAKERS[kind](one) if kind in _MAKERS else None
        if made is not None:
            table, fields = made
            yield f"{_KIND}{table}", filled({**base, **fields})


def _of_graph(one: Raw) -> str:
    """`#microsoft.graph.security.processEvidence` -> `process`."""
    return text_of(one.get("@odata.type")).rpartition(".")[2].removesuffix("Evidence").lower()


def _process(one: Raw) -> tuple[str, Raw]:
    """Both forms: Graph keeps the image, the parent's image and the account in objects of their own."""
    image, parent = object_of(one.get("imageFile")) or one, object_of(one.get("parentProcessImageFile"))
    created = one.get("processCreationTime") or one.get("processCreationDateTime")
    above = parent.get("fileName") or one.get("parentProcessFileName")
    fields = {
        "ActionType": "ProcessCreated",
        "FileName": text_of(image.get("fileName")),
        "FolderPath": path_of(image.get("filePath"), image.get("fileName")),
        "SHA1": text_of(image.get("sha1")),
        "SHA256": text_of(image.get("sha256")),
        "MD5": text_of(image.get("md5")),
        "ProcessId": one.get("processId"),
        "ProcessCommandLine": text_of(one.get("processCommandLine")),
        "ProcessCreationTime": text_of(created),
        "InitiatingProcessId": one.get("parentProcessId"),
        "InitiatingProcessFileName": text_of(above),
        "InitiatingProcessFolderPath": path_of(parent.get("filePath") or one.get("parentProcessFilePath"), above),
        "InitiatingProcessCreationTime": text_of(
            one.get("parentProcessCreationTime") or one.get("parentProcessCreationDateTime")
        ),
    }
    if created:
        fields["Timestamp"] = text_of(created)
    return "DeviceProcessEvents", filled(fields | _account(one))


def _account(one: Raw) -> dict[str, object]:
    account = object_of(one.get("userAccount")) or one
    return {
        "AccountName": text_of(account.get("accountName")),
        "AccountDomain": text_of(account.get("domainName")),
        "AccountSid": text_of(account.get("userSid")),
        "AccountUpn": text_of(account.get("userPrincipalName")),
    }


def _file(one: Raw) -> tuple[str, Raw]:
    """`FileSeen`: the alert says that the file was there, and not that it was made then."""
    image = object_of(one.get("fileDetails")) or one
    return "DeviceFileEvents", {
        "ActionType": "FileSeen",
        "FileName": text_of(image.get("fileName")),
        "FolderPath": path_of(image.get("filePath"), image.get("fileName")),
        "SHA1": text_of(image.get("sha1")),
        "SHA256": text_of(image.get("sha256")),
    }


def _address(one: Raw) -> tuple[str, Raw]:
    """`ConnectionFound`: which way, and whether it came about, is not said."""
    return "DeviceNetworkEvents", {"ActionType": "ConnectionFound", "RemoteIP": text_of(one.get("ipAddress"))}


def _link(one: Raw) -> tuple[str, Raw]:
    return "DeviceNetworkEvents", {"ActionType": "ConnectionFound", "RemoteUrl": text_of(one.get("url"))}


def _registry(one: Raw) -> tuple[str, Raw]:
    hive, key = text_of(one.get("registryHive")), text_of(one.get("registryKey"))
    return "DeviceRegistryEvents", {
        "ActionType": "RegistryValueSet",
        "RegistryKey": f"{hive}\\{key}" if hive and not key.upper().startswith("HKEY") else key,
        "RegistryValueName": text_of(one.get("registryValueName")),
        "RegistryValueData": text_of(one.get("registryValue")),
        "RegistryValueType": text_of(one.get("registryValueType")),
    }


_MAKERS = {
    "process": _process,
    "file": _file,
    "ip": _address,
    "url": _link,
    "registryvalue": _registry,
}
