"""The CACAO 2.0 specification as types: every step, command, agent, target, authentication, marking and signature.

Written after the OASIS document and its JSON schemas. Decoding is strict: an unknown property or type is an error
with its path. What CACAO cannot say (approvers, expiry, inverse, checks) is one extension, `Response`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

EXTENSION = "extension-definition--3e2f4a53-0c5b-4d0f-9f6c-5a1d7e9b2c41"

UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
Identifier = Annotated[str, Meta(pattern=rf"^[a-z][a-z0-9-]+[a-z0-9]--{UUID}$")]
Timestamp = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Base64 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Percent = Annotated[int, Meta(ge=0, le=100)]
Milliseconds = Annotated[int, Meta(ge=0, le=366 * 24 * 3600 * 1000)]
Text = Annotated[str, Meta(max_length=65536)]
Some = Meta(min_length=1)

VARIABLE_NAME = r"^__[a-zA-Z][a-zA-Z0-9_-]{0,199}__$"
VARIABLE_TYPES = (
    "bool dictionary float hexstring integer ipv4-addr ipv6-addr long mac-addr hash md5-hash sha256-hash string "
    "uri uuid"
).split()
PLAYBOOK_TYPES = "attack detection engagement investigation mitigation notification prevention remediation".split()
ACTIVITIES = (
    "compose-content deliver-content identify-audience identify-channel scan-system match-indicator "
    "analyze-collected-data identify-indicators scan-vulnerabilities configure-systems restrict-access "
    "disconnect-system eliminate-risk revert-system restore-data restore-capabilities map-network identify-steps "
    "step-sequence prepare-engagement execute-operation analyze-engagement-results"
).split()


class _Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Variable(_Base, frozen=True, kw_only=True):
    type: str
    description: str = ""
    value: str | None = None
    constant: bool = False
    external: bool = False


class ExternalReference(_Base, frozen=True, kw_only=True):
    name: str
    description: str = ""
    source: str = ""
    url: str = ""
    external_id: str = ""
    reference_id: str = ""


# Commands


class _Command(_Base, frozen=True, kw_only=True):
    description: str = ""
    version: str = ""
    playbook_activity: str = ""
    external_references: tuple[ExternalReference, ...] = ()


class _TextOrBase64(_Command, frozen=True, kw_only=True):
    command: str | None = None
    command_b64: Base64 | None = None


class Manual(_TextOrBase64, frozen=True, kw_only=True, tag="manual"):
    pass


class Bash(_TextOrBase64, frozen=True, kw_only=True, tag="bash"):
    pass


class CalderaCmd(_TextOrBase64, frozen=True, kw_only=True, tag="caldera-cmd"):
    pass


class PowerShell(_TextOrBase64, frozen=True, kw_only=True, tag="powershell"):
    pass


class Ssh(_TextOrBase64, frozen=True, kw_only=True, tag="ssh"):
    pass


class Elastic(_Command, frozen=True, kw_only=True, tag="elastic"):
    command_b64: Base64


class Jupyter(_Command, frozen=True, kw_only=True, tag="jupyter"):
    command_b64: Base64


class Kestrel(_Command, frozen=True, kw_only=True, tag="kestrel"):
    command_b64: Base64


class Sigma(_Command, frozen=True, kw_only=True, tag="sigma"):
    command_b64: Base64


class Yara(_Command, frozen=True, kw_only=True, tag="yara"):
    command_b64: Base64


class HttpApi(_Command, frozen=True, kw_only=True, tag="http-api"):
    command: str
    headers: dict[str, tuple[str, ...]] = {}
    content: str | None = None
    content_b64: Base64 | None = None


class OpenC2Http(_Command, frozen=True, kw_only=True, tag="openc2-http"):
    command: str
    content_b64: Base64
    headers: dict[str, tuple[str, ...]] = {}


Command = (
    Manual | Bash | CalderaCmd | PowerShell | Ssh | Elastic | Jupyter | Kestrel | Sigma | Yara | HttpApi | OpenC2Http
)


# Our extension of action steps


class Response(_Base, frozen=True, kw_only=True):
    """What an action step means to Perilune. Another tool sees the step's manual command and asks a person.

    action         the kind of action, done to every target of `each`
    each           which of the case's things: hosts, processes, files, addresses, domains, urls, hashes, accounts, …
    look           instead of an action: a topic whose facts become the step's `out_args`
    question       instead of an action: what a person is asked; `choices` are the answers, the first is assumed
    answer         the variable that the answer is put into
    approval       `required`, `automatic`, or the variable whose true value makes it automatic
    approvers      how many different people; the kind's default when left out
    lasts          seconds until the inverse is due
    at_most        how many targets; more than that is refused as a whole
    """

    action: str = ""
    each: str = ""
    look: str = ""
    question: str = ""
    choices: tuple[str, ...] = ()
    answer: str = ""
    approval: str = "required"
    approvers: Annotated[int, Meta(ge=1, le=5)] | None = None
    lasts: Annotated[int, Meta(ge=60, le=366 * 24 * 3600)] | None = None
    at_most: Annotated[int, Meta(ge=1, le=1000)] | None = None


# Steps


class _Step(_Base, frozen=True, kw_only=True):
    name: str = ""
    description: str = ""
    external_references: tuple[ExternalReference, ...] = ()
    delay: Milliseconds = 0
    timeout: Milliseconds | None = None
    step_variables: dict[str, Variable] = {}
    owner: Identifier | None = None
    on_completion: Identifier | None = None
    on_success: Identifier | None = None
    on_failure: Identifier | None = None
    step_extensions: dict[str, msgspec.Raw] = {}


class Start(_Step, frozen=True, kw_only=True, tag="start"):
    pass


class End(_Step, frozen=True, kw_only=True, tag="end"):
    pass


class ActionStep(_Step, frozen=True, kw_only=True, tag="action"):
    commands: Annotated[tuple[Command, ...], Some]
    agent: Identifier
    targets: tuple[Identifier, ...] = ()
    in_args: tuple[str, ...] = ()
    out_args: tuple[str, ...] = ()


class PlaybookStep(_Step, frozen=True, kw_only=True, tag="playbook-action"):
    playbook_id: Identifier
    playbook_version: Timestamp | None = None
    in_args: tuple[str, ...] = ()
    out_args: tuple[str, ...] = ()


class Parallel(_Step, frozen=True, kw_only=True, tag="parallel"):
    next_steps: Annotated[tuple[Identifier, ...], Meta(min_length=2)]


class IfCondition(_Step, frozen=True, kw_only=True, tag="if-condition"):
    condition: str
    on_true: Identifier
    on_false: Identifier | None = None


class WhileCondition(_Step, frozen=True, kw_only=True, tag="while-condition"):
    condition: str
    on_true: Identifier


class SwitchCondition(_Step, frozen=True, kw_only=True, tag="switch-condition"):
    switch: str
    cases: Annotated[dict[str, Identifier], Some]


WorkflowStep = Start | End | ActionStep | PlaybookStep | Parallel | IfCondition | WhileCondition | SwitchCondition


# Agents and targets


class Contact(_Base, frozen=True, kw_only=True):
    email: dict[str, str] = {}
    phone: dict[str, str] = {}
    contact_details: str = ""


class CivicLocation(_Base, frozen=True, kw_only=True):
    name: str = ""
    description: str = ""
    building_details: str = ""
    network_details: str = ""
    region: str = ""
    country: str = ""
    administrative_area: str = ""
    city: str = ""
    street_address: str = ""
    postal_code: str = ""
    latitude: str = ""
    longitude: str = ""
    precision: str = ""


class _Party(_Base, frozen=True, kw_only=True):
    name: str
    description: str = ""
    location: CivicLocation | None = None
    agent_target_extensions: dict[str, msgspec.Raw] = {}


class Group(_Party, frozen=True, kw_only=True, tag="group"):
    contact: Contact | None = None


class Individual(_Party, frozen=True, kw_only=True, tag="individual"):
    contact: Contact | None = None


class Organization(_Party, frozen=True, kw_only=True, tag="organization"):
    contact: Contact | None = None


class Location(_Party, frozen=True, kw_only=True, tag="location"):
    logical: tuple[str, ...] = ()


class Sector(_Party, frozen=True, kw_only=True, tag="sector"):
    sector: str = ""


class _Machine(_Party, frozen=True, kw_only=True):
    address: dict[str, tuple[str | int, ...]]
    port: str = ""
    authentication_info: Identifier | None = None
    category: tuple[str, ...] = ()


class HttpApiAgent(_Machine, frozen=True, kw_only=True, tag="http-api"):
    pass


class LinuxAgent(_Machine, frozen=True, kw_only=True, tag="linux"):
    pass


class NetAddress(_Machine, frozen=True, kw_only=True, tag="net-address"):
    pass


class SshAgent(_Machine, frozen=True, kw_only=True, tag="ssh"):
    pass


class SecurityCategory(_Party, frozen=True, kw_only=True, tag="security-category"):
    category: Annotated[tuple[str, ...], Some]


Agent = (
    Group | Individual | Organization | Location | Sector | HttpApiAgent | LinuxAgent | NetAddress | SshAgent
    | SecurityCategory
)  # fmt: skip


# Authentication, markings, signatures, extensions


class _Authentication(_Base, frozen=True, kw_only=True):
    name: str = ""
    description: str = ""
    kms: bool = False
    kms_key_identifier: str = ""
    authentication_info_extensions: dict[str, msgspec.Raw] = {}


class HttpBasic(_Authentication, frozen=True, kw_only=True, tag="http-basic"):
    user_id: str = ""
    username: str = ""
    password: str = ""


class OAuth2(_Authentication, frozen=True, kw_only=True, tag="oauth2"):
    oauth_header: str
    token: str


class UserAuth(_Authentication, frozen=True, kw_only=True, tag="user-auth"):
    username: str
    password: str = ""
    private_key: str = ""


Authentication = HttpBasic | OAuth2 | UserAuth


class _Marking(_Base, frozen=True, kw_only=True):
    id: Identifier
    created_by: Identifier
    created: Timestamp
    name: str = ""
    description: str = ""
    revoked: bool = False
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    labels: tuple[str, ...] = ()
    external_references: tuple[ExternalReference, ...] = ()
    marking_extensions: dict[str, msgspec.Raw] = {}


class MarkingStatement(_Marking, frozen=True, kw_only=True, tag="marking-statement"):
    statement: str


class MarkingTlp(_Marking, frozen=True, kw_only=True, tag="marking-tlp"):
    tlpv2_level: str


class MarkingIep(_Marking, frozen=True, kw_only=True, tag="marking-iep"):
    tlp_level: str
    encrypt_in_transit: str = ""
    permitted_actions: str = ""
    affected_party_notifications: str = ""
    attribution: str = ""
    unmodified_resale: str = ""
    start_date: Timestamp | None = None
    end_date: Timestamp | None = None


Marking = MarkingStatement | MarkingTlp | MarkingIep


class Signature(_Base, frozen=True, kw_only=True, tag="jss"):
    id: Identifier
    created: Timestamp
    modified: Timestamp
    signee: str
    related_to: Identifier
    related_version: Timestamp
    hash_algorithm: str
    algorithm: str
    value: str
    created_by: Identifier | None = None
    revoked: bool = False
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    public_key: str = ""
    public_cert_chain: tuple[str, ...] = ()
    cert_url: str = ""
    thumbprint: str = ""
    signature: Signature | None = None


class ExtensionDefinition(_Base, frozen=True, kw_only=True, tag="extension-definition"):
    name: str
    created_by: Identifier
    schema: str
    version: str
    description: str = ""
    external_references: tuple[ExternalReference, ...] = ()


class ProcessingSummary(_Base, frozen=True, kw_only=True):
    manual_playbook: bool = False
    external_playbooks: bool = False
    parallel_processing: bool = False
    if_logic: bool = False
    while_logic: bool = False
    switch_logic: bool = False
    temporal_logic: bool = False
    data_markings: bool = False
    digital_signatures: bool = False
    countersigned_signatures: bool = False
    extensions: bool = False


class Playbook(_Base, frozen=True, kw_only=True, tag="playbook"):
    """A playbook; its maps are decoded one entry at a time, so that one fault does not hide the next."""

    spec_version: Annotated[str, Meta(pattern=r"^cacao-2\.0$")]
    id: Identifier
    name: str
    created_by: Identifier
    created: Timestamp
    modified: Timestamp
    workflow_start: Identifier
    workflow: dict[str, WorkflowStep]
    description: str = ""
    playbook_types: tuple[str, ...] = ()
    playbook_activities: tuple[str, ...] = ()
    playbook_processing_summary: ProcessingSummary | None = None
    revoked: bool = False
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    derived_from: tuple[Identifier, ...] = ()
    related_to: tuple[Identifier, ...] = ()
    priority: Percent | None = None
    severity: Percent | None = None
    impact: Percent | None = None
    industry_sectors: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    external_references: tuple[ExternalReference, ...] = ()
    markings: tuple[Identifier, ...] = ()
    playbook_variables: dict[str, Variable] = {}
    workflow_exception: Identifier | None = None
    playbook_extensions: dict[str, msgspec.Raw] = {}
    authentication_info_definitions: dict[str, Authentication] = {}
    agent_definitions: dict[str, Agent] = {}
    target_definitions: dict[str, Agent] = {}
    extension_definitions: dict[str, ExtensionDefinition] = {}
    data_marking_definitions: dict[str, Marking] = {}
    signatures: tuple[Signature, ...] = field(default=())


def response_of(step: WorkflowStep) -> Response | None:
    """What Perilune's extension says of a step; a ValidationError names what is wrong with it."""
    raw = step.step_extensions.get(EXTENSION)
    return None if raw is None else msgspec.json.decode(bytes(raw), type=Response)
