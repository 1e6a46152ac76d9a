"""Defender's other advanced-hunting tables: published names and types, for which no reader gathers rows yet.

A query over them runs and finds nothing, and the command line says that there were no data. Without them a hunt that
joins one for context could not run at all. A column is text unless a letter says otherwise: `:t` datetime, `:l` long,
`:i` int, `:b` bool, `:r` real, `:d` dynamic.
"""

from __future__ import annotations

from perilune.detection.kql.kinds import Kind

_LETTERS = {
    "t": Kind.DATETIME,
    "l": Kind.LONG,
    "i": Kind.INT,
    "b": Kind.BOOL,
    "r": Kind.REAL,
    "d": Kind.DYNAMIC,
}
_TABLES = {
    "AADSignInEventsBeta": """
        Timestamp:t Application ApplicationId LogonType ErrorCode:i CorrelationId SessionId AccountDisplayName
        AccountObjectId AccountUpn IsExternalUser:i IsGuestUser:b AlternateSignInName LastPasswordChangeTimestamp:t
        ResourceDisplayName ResourceId ResourceTenantId DeviceName AadDeviceId OSPlatform DeviceTrustType
        IsManaged:i IsCompliant:i AuthenticationProcessingDetails AuthenticationRequirement TokenIssuerType:i
        RiskLevelAggregated:i RiskDetails:i RiskState:i UserAgent ClientAppUsed Browser ConditionalAccessPolicies
        ConditionalAccessStatus:i IPAddress Country State City Latitude Longitude NetworkLocationDetails RequestId
        ReportId
    """,
    "AADSpnSignInEventsBeta": """
        Timestamp:t Application ApplicationId IsManagedIdentity:b ErrorCode:i CorrelationId ServicePrincipalName
        ServicePrincipalId ResourceDisplayName ResourceId ResourceTenantId IPAddress Country State City Latitude
        Longitude RequestId ReportId
    """,
    "AlertEvidence": """
        Timestamp:t AlertId Title Categories AttackTechniques ServiceSource DetectionSource EntityType EvidenceRole
        EvidenceDirection FileName FolderPath SHA1 SHA256 FileSize:l ThreatFamily RemoteIP RemoteUrl AccountName
        AccountDomain AccountSid AccountObjectId AccountUpn DeviceId DeviceName LocalIP NetworkMessageId
        EmailSubject Application ApplicationId:i OAuthApplicationId ProcessCommandLine RegistryKey RegistryValueName
        RegistryValueData AdditionalFields Severity CloudResource CloudPlatform ResourceType ResourceID
        SubscriptionId
    """,
    "AlertInfo": """
        Timestamp:t AlertId Title Category Severity ServiceSource DetectionSource AttackTechniques
    """,
    "BehaviorEntities": """
        Timestamp:t BehaviorId ActionType Categories ServiceSource DetectionSource DataSources EntityType EntityRole
        DetailedEntityRole FileName FolderPath SHA1 SHA256 FileSize:l ThreatFamily RemoteIP RemoteUrl AccountName
        AccountDomain AccountSid AccountObjectId AccountUpn DeviceId DeviceName LocalIP NetworkMessageId
        EmailSubject EmailClusterId Application ApplicationId:i OAuthApplicationId ProcessCommandLine RegistryKey
        RegistryValueName RegistryValueData AdditionalFields
    """,
    "BehaviorInfo": """
        Timestamp:t BehaviorId ActionType Description Categories AttackTechniques ServiceSource DetectionSource
        DataSources DeviceId AccountUpn AccountObjectId StartTime:t EndTime:t AdditionalFields
    """,
    "CloudAppEvents": """
        Timestamp:t ActionType Application ApplicationId:i AccountObjectId AccountId AccountDisplayName
        IsAdminOperation:b DeviceType OSPlatform IPAddress IsAnonymousProxy:b CountryCode City Isp UserAgent
        ActivityType ActivityObjects:d ObjectName ObjectType ObjectId ReportId AccountType IsExternalUser:b
        IsImpersonated:b IPTags:d IPCategory UserAgentTags:d RawEventData:d AdditionalFields:d LastSeenForUser
        UncommonForUser AuditSource SessionData:d OAuthAppId
    """,
    "CloudAuditEvents": """
        Timestamp:t ReportId DataSource ActionType OperationName ResourceId IPAddress IsAnonymousProxy:b CountryCode
        City Isp UserAgent RawEventData:d AdditionalFields:d
    """,
    "DeviceFileCertificateInfo": """
        Timestamp:t DeviceId DeviceName SHA1 IsSigned:b SignatureType Signer SignerHash Issuer IssuerHash
        CertificateSerialNumber CrlDistributionPointUrls CertificateCreationTime:t CertificateExpirationTime:t
        CertificateCountersignatureTime:t IsTrusted:b IsRootSignerMicrosoft:b ReportId:l
    """,
    "DeviceInfo": """
        Timestamp:t DeviceId DeviceName ClientVersion PublicIP OSArchitecture OSPlatform OSBuild:l IsAzureADJoined:b
        JoinType AadDeviceId LoggedOnUsers RegistryDeviceTag OSVersion MachineGroup ReportId:l OnboardingStatus
        AdditionalFields DeviceCategory DeviceType DeviceSubtype Model Vendor OSDistribution OSVersionInfo
        MergedDeviceIds MergedToDeviceId IsInternetFacing:b SensorHealthState IsExcluded:b ExclusionReason
        ExposureLevel AssetValue DeviceManualTags DeviceDynamicTags ConnectivityType HostDeviceId AzureResourceId
        AwsResourceName GcpFullResourceName
    """,
    "DeviceLogonEvents": """
        Timestamp:t DeviceId DeviceName ActionType LogonType AccountDomain AccountName AccountSid Protocol
        FailureReason IsLocalAdmin:b LogonId:l RemoteDeviceName RemoteIP RemoteIPType RemotePort:i
        InitiatingProcessAccountDomain InitiatingProcessAccountName InitiatingProcessAccountSid
        InitiatingProcessAccountUpn InitiatingProcessAccountObjectId InitiatingProcessIntegrityLevel
        InitiatingProcessTokenElevation InitiatingProcessSHA1 InitiatingProcessSHA256 InitiatingProcessMD5
        InitiatingProcessFileName InitiatingProcessFileSize:l InitiatingProcessVersionInfoCompanyName
        InitiatingProcessVersionInfoProductName InitiatingProcessVersionInfoProductVersion
        InitiatingProcessVersionInfoInternalFileName InitiatingProcessVersionInfoOriginalFileName
        InitiatingProcessVersionInfoFileDescription InitiatingProcessId:l InitiatingProcessCommandLine
        InitiatingProcessCreationTime:t InitiatingProcessFolderPath InitiatingProcessParentId:l
        InitiatingProcessParentFileName InitiatingProcessParentCreationTime:t ReportId:l AppGuardContainerId
        AdditionalFields InitiatingProcessSessionId:l IsInitiatingProcessRemoteSession:b
        InitiatingProcessRemoteSessionDeviceName InitiatingProcessRemoteSessionIP
    """,
    "DeviceNetworkInfo": """
        Timestamp:t DeviceId DeviceName NetworkAdapterName MacAddress NetworkAdapterType NetworkAdapterStatus
        TunnelType ConnectedNetworks DnsAddresses IPv4Dhcp IPv6Dhcp DefaultGateways IPAddresses ReportId:l
        NetworkAdapterVendor
    """,
    "DeviceTvmHardwareFirmware": """
        DeviceId DeviceName ComponentType Manufacturer ComponentName ComponentFamily ComponentVersion
        AdditionalFields:d
    """,
    "DeviceTvmInfoGathering": """
        Timestamp:t LastSeenTime:t DeviceId DeviceName OSPlatform AdditionalFields:d
    """,
    "DeviceTvmInfoGatheringKB": """
        IgId FieldName Description Categories:d DataStructure
    """,
    "DeviceTvmSecureConfigurationAssessment": """
        DeviceId DeviceName OSPlatform Timestamp:t ConfigurationId ConfigurationCategory ConfigurationSubcategory
        ConfigurationImpact:r IsCompliant:b IsApplicable:b Context:d IsExpectedUserImpact:b
    """,
    "DeviceTvmSecureConfigurationAssessmentKB": """
        ConfigurationId ConfigurationImpact:r ConfigurationName ConfigurationDescription RiskDescription
        ConfigurationCategory ConfigurationSubcategory ConfigurationBenchmarks:d Tags:d RemediationOptions
    """,
    "DeviceTvmSoftwareEvidenceBeta": """
        DeviceId SoftwareVendor SoftwareName SoftwareVersion RegistryPaths:d DiskPaths:d LastSeenTime
    """,
    "DeviceTvmSoftwareInventory": """
        DeviceId DeviceName OSPlatform OSVersion OSArchitecture SoftwareVendor SoftwareName SoftwareVersion
        EndOfSupportStatus EndOfSupportDate:t ProductCodeCpe
    """,
    "DeviceTvmSoftwareVulnerabilities": """
        DeviceId DeviceName OSPlatform OSVersion OSArchitecture SoftwareVendor SoftwareName SoftwareVersion CveId
        VulnerabilitySeverityLevel RecommendedSecurityUpdate RecommendedSecurityUpdateId CveTags:d
    """,
    "DeviceTvmSoftwareVulnerabilitiesKB": """
        CveId CvssScore IsExploitAvailable:b VulnerabilitySeverityLevel LastModifiedTime:t PublishedDate:t
        VulnerabilityDescription AffectedSoftware:d
    """,
    "EmailAttachmentInfo": """
        Timestamp:t NetworkMessageId SenderFromAddress SenderDisplayName SenderObjectId RecipientEmailAddress
        RecipientObjectId FileName FileType SHA256 FileSize:l ThreatTypes ThreatNames DetectionMethods ReportId
    """,
    "EmailEvents": """
        Timestamp:t NetworkMessageId InternetMessageId SenderMailFromAddress SenderFromAddress SenderDisplayName
        SenderObjectId SenderMailFromDomain SenderFromDomain SenderIPv4 SenderIPv6 RecipientEmailAddress
        RecipientObjectId Subject EmailClusterId:l EmailDirection DeliveryAction DeliveryLocation ThreatTypes
        ThreatNames DetectionMethods ConfidenceLevel BulkComplaintLevel:i EmailAction EmailActionPolicy
        EmailActionPolicyGuid AuthenticationDetails AttachmentCount:i UrlCount:i EmailLanguage Connectors
        OrgLevelAction OrgLevelPolicy UserLevelAction UserLevelPolicy ReportId AdditionalFields
        LatestDeliveryLocation`* LatestDeliveryAction`*
    """,
    "EmailPostDeliveryEvents": """
        Timestamp:t NetworkMessageId InternetMessageId Action ActionType ActionTrigger ActionResult
        RecipientEmailAddress DeliveryLocation ThreatTypes DetectionMethods ReportId
    """,
    "EmailUrlInfo": """
        Timestamp:t NetworkMessageId Url UrlDomain UrlLocation ReportId
    """,
    "ExposureGraphEdges": """
        EdgeId EdgeLabel SourceNodeId SourceNodeName SourceNodeLabel SourceNodeCategories:d TargetNodeId
        TargetNodeName TargetNodeLabel TargetNodeCategories:d EdgeProperties:d
    """,
    "ExposureGraphNodes": """
        NodeId NodeLabel NodeName Categories:d NodeProperties:d EntityIds:d
    """,
    "IdentityDirectoryEvents": """
        Timestamp:t ActionType Application TargetAccountUpn TargetAccountDisplayName TargetDeviceName
        DestinationDeviceName DestinationIPAddress DestinationPort:i Protocol AccountName AccountDomain AccountUpn
        AccountSid AccountObjectId AccountDisplayName DeviceName IPAddress Port:i Location ISP ReportId
        AdditionalFields:d
    """,
    "IdentityInfo": """
        Timestamp` [*](#mdi-only):t ReportId` [*](#mdi-only) AccountObjectId AccountUpn OnPremSid AccountDisplayName
        AccountName AccountDomain` [*](#mdi-only) Type` [*](#mdi-only) DistinguishedName` [*](#mdi-only) CloudSid
        GivenName Surname Department JobTitle EmailAddress SipProxyAddress Address City Country IsAccountEnabled:b
        Manager` [*](#mdi-only) Phone` [*](#mdi-only) CreatedDateTime` [*](#mdi-only):t SourceProvider` [*](#mdi-
        only) ChangeSource` [*](#mdi-only) Tags` [*](#mdi-only):d AssignedRoles` [*](#mdi-only):d TenantId
        SourceSystem` [*](#mdi-only)
    """,
    "IdentityLogonEvents": """
        Timestamp:t ActionType Application LogonType Protocol FailureReason AccountName AccountDomain AccountUpn
        AccountSid AccountObjectId AccountDisplayName DeviceName DeviceType OSPlatform IPAddress Port:i
        DestinationDeviceName DestinationIPAddress DestinationPort:i TargetDeviceName TargetAccountDisplayName
        Location Isp ReportId AdditionalFields:d
    """,
    "IdentityQueryEvents": """
        Timestamp:t ActionType Application QueryType QueryTarget Query Protocol AccountName AccountDomain AccountUpn
        AccountSid AccountObjectId AccountDisplayName DeviceName IPAddress Port:i DestinationDeviceName
        DestinationIPAddress DestinationPort:i TargetDeviceName TargetAccountUpn TargetAccountDisplayName Location
        ReportId AdditionalFields:d
    """,
    "UrlClickEvents": """
        Timestamp:t Url ActionType AccountUpn Workload NetworkMessageId ThreatTypes DetectionMethods IPAddress
        IsClickedThrough:b UrlChain ReportId
    """,
}


def columns_of(name: str) -> tuple[tuple[str, Kind], ...]:
    """The columns of one of these tables, in their documented order."""
    found = (word.partition(":") for word in _TABLES[name].split())
    return tuple((column, _LETTERS.get(letter, Kind.STRING)) for column, _, letter in found)


NAMES = tuple(_TABLES)
