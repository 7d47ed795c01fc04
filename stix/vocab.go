package stix

// This file has the vocabularies of STIX 2.1 §10. Of an enumeration only the
// terms themselves may be used; of an open vocabulary they should be.

// openVocab takes strings and warns of those that are not in the vocabulary.
func openVocab(name, clause string, terms ...string) check {
	known := setOf(terms)
	message := "this term is not one of " + name
	return func(c *checker, v Value) {
		text(c, v)
		if v.Kind() != String || c.options.ErrorsOnly {
			return
		}
		if s := v.inside(); !known[string(s)] {
			c.warn(v, clause, message)
			if !isTerm(s) {
				c.warn(v, "STIX 2.1 §2.14", "lower case and hyphens, not spaces or underscores, should be used")
			}
		}
	}
}

// enum takes the terms of an enumeration.
func enum(name, clause string, terms ...string) check {
	known := setOf(terms)
	message := "a term of " + name + " was expected"
	return func(c *checker, v Value) {
		if !known[string(v.inside())] {
			c.fail(v, clause, message)
		}
	}
}

func setOf(terms []string) map[string]bool {
	set := make(map[string]bool, len(terms))
	for _, t := range terms {
		set[t] = true
	}
	return set
}

// isTerm reports whether s is written as the terms of vocabularies are
// (STIX 2.1 §2.14): in lower case, with hyphens between words.
func isTerm(s []byte) bool {
	for _, c := range s {
		if c >= 'A' && c <= 'Z' || c == ' ' || c == '_' {
			return false
		}
	}
	return true
}

// accountType is STIX 2.1 §10.1.
func accountType() check {
	return openVocab("account-type-ov", "STIX 2.1 §10.1",
		"facebook", "ldap", "nis", "openid", "radius", "skype", "tacacs", "twitter", "unix", "windows-local",
		"windows-domain",
	)
}

// attackMotivation is STIX 2.1 §10.2.
func attackMotivation() check {
	return openVocab("attack-motivation-ov", "STIX 2.1 §10.2",
		"accidental", "coercion", "dominance", "ideology", "notoriety", "organizational-gain", "personal-gain",
		"personal-satisfaction", "revenge", "unpredictable",
	)
}

// attackResourceLevel is STIX 2.1 §10.3.
func attackResourceLevel() check {
	return openVocab("attack-resource-level-ov", "STIX 2.1 §10.3",
		"individual", "club", "contest", "team", "organization", "government",
	)
}

// encryptionAlgorithm is STIX 2.1 §10.4.
func encryptionAlgorithm() check {
	return enum("encryption-algorithm-enum", "STIX 2.1 §10.4",
		"AES-256-GCM", "ChaCha20-Poly1305", "mime-type-indicated",
	)
}

// extensionType is STIX 2.1 §10.5.
func extensionType() check {
	return enum("extension-type-enum", "STIX 2.1 §10.5",
		"new-sdo", "new-sco", "new-sro", "property-extension", "toplevel-property-extension",
	)
}

// groupingContext is STIX 2.1 §10.6.
func groupingContext() check {
	return openVocab("grouping-context-ov", "STIX 2.1 §10.6",
		"suspicious-activity", "malware-analysis", "unspecified",
	)
}

// identityClass is STIX 2.1 §10.8.
func identityClass() check {
	return openVocab("identity-class-ov", "STIX 2.1 §10.8",
		"individual", "group", "system", "organization", "class", "unknown",
	)
}

// implementationLanguage is STIX 2.1 §10.9.
func implementationLanguage() check {
	return openVocab("implementation-language-ov", "STIX 2.1 §10.9",
		"applescript", "bash", "c", "c++", "c#", "go", "java", "javascript", "lua", "objective-c", "perl", "php",
		"powershell", "python", "ruby", "rust", "scala", "swift", "typescript", "visual-basic", "x86-32", "x86-64",
	)
}

// indicatorType is STIX 2.1 §10.10.
func indicatorType() check {
	return openVocab("indicator-type-ov", "STIX 2.1 §10.10",
		"anomalous-activity", "anonymization", "benign", "compromised", "malicious-activity", "attribution",
		"unknown",
	)
}

// industrySector is STIX 2.1 §10.11.
func industrySector() check {
	return openVocab("industry-sector-ov", "STIX 2.1 §10.11",
		"agriculture", "aerospace", "automotive", "chemical", "commercial", "communications", "construction",
		"defense", "education", "energy", "entertainment", "financial-services", "government",
		"emergency-services", "government-local", "government-national", "government-public-services",
		"government-regional", "healthcare", "hospitality-leisure", "infrastructure", "dams", "nuclear", "water",
		"insurance", "legal", "manufacturing", "mining", "non-profit", "pharmaceuticals", "retail", "technology",
		"telecommunications", "transportation", "utilities",
	)
}

// infrastructureType is STIX 2.1 §10.12.
func infrastructureType() check {
	return openVocab("infrastructure-type-ov", "STIX 2.1 §10.12",
		"amplification", "anonymization", "botnet", "command-and-control", "control-system", "exfiltration",
		"firewall", "hosting-malware", "hosting-target-lists", "phishing", "reconnaissance", "routers-switches",
		"staging", "workstation", "unknown",
	)
}

// malwareCapabilities is STIX 2.1 §10.13.
func malwareCapabilities() check {
	return openVocab("malware-capabilities-ov", "STIX 2.1 §10.13",
		"accesses-remote-machines", "anti-debugging", "anti-disassembly", "anti-emulation",
		"anti-memory-forensics", "anti-sandbox", "anti-vm", "captures-input-peripherals",
		"captures-output-peripherals", "captures-system-state-data", "cleans-traces-of-infection", "commits-fraud",
		"communicates-with-c2", "compromises-data-availability", "compromises-data-integrity",
		"compromises-system-availability", "controls-local-machine", "degrades-security-software",
		"degrades-system-updates", "determines-c2-server", "emails-spam", "escalates-privileges", "evades-av",
		"exfiltrates-data", "fingerprints-host", "hides-artifacts", "hides-executing-code", "infects-files",
		"infects-remote-machines", "installs-other-components", "persists-after-system-reboot",
		"prevents-artifact-access", "prevents-artifact-deletion", "probes-network-environment", "self-modifies",
		"steals-authentication-credentials", "violates-system-operational-integrity",
	)
}

// malwareResult is STIX 2.1 §10.14.
func malwareResult() check {
	return openVocab("malware-result-ov", "STIX 2.1 §10.14",
		"malicious", "suspicious", "benign", "unknown",
	)
}

// malwareType is STIX 2.1 §10.15.
func malwareType() check {
	return openVocab("malware-type-ov", "STIX 2.1 §10.15",
		"adware", "backdoor", "bot", "bootkit", "ddos", "downloader", "dropper", "exploit-kit", "keylogger",
		"ransomware", "remote-access-trojan", "resource-exploitation", "rogue-security-software", "rootkit",
		"screen-capture", "spyware", "trojan", "unknown", "virus", "webshell", "wiper", "worm",
	)
}

// networkSocketAddressFamily is STIX 2.1 §10.16.
func networkSocketAddressFamily() check {
	return enum("network-socket-address-family-enum", "STIX 2.1 §10.16",
		"AF_UNSPEC", "AF_INET", "AF_IPX", "AF_APPLETALK", "AF_NETBIOS", "AF_INET6", "AF_IRDA", "AF_BTH",
	)
}

// networkSocketType is STIX 2.1 §10.17.
func networkSocketType() check {
	return enum("network-socket-type-enum", "STIX 2.1 §10.17",
		"SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET",
	)
}

// opinion is STIX 2.1 §10.18.
func opinion() check {
	return enum("opinion-enum", "STIX 2.1 §10.18",
		"strongly-disagree", "disagree", "neutral", "agree", "strongly-agree",
	)
}

// patternType is STIX 2.1 §10.19.
func patternType() check {
	return openVocab("pattern-type-ov", "STIX 2.1 §10.19",
		"stix", "pcre", "sigma", "snort", "suricata", "yara",
	)
}

// processorArchitecture is STIX 2.1 §10.20.
func processorArchitecture() check {
	return openVocab("processor-architecture-ov", "STIX 2.1 §10.20",
		"alpha", "arm", "ia-64", "mips", "powerpc", "sparc", "x86", "x86-64",
	)
}

// region is STIX 2.1 §10.21.
func region() check {
	return openVocab("region-ov", "STIX 2.1 §10.21",
		"africa", "eastern-africa", "middle-africa", "northern-africa", "southern-africa", "western-africa",
		"americas", "caribbean", "central-america", "latin-america-caribbean", "northern-america", "south-america",
		"asia", "central-asia", "eastern-asia", "southern-asia", "south-eastern-asia", "western-asia", "europe",
		"eastern-europe", "northern-europe", "southern-europe", "western-europe", "oceania", "antarctica",
		"australia-new-zealand", "melanesia", "micronesia", "polynesia",
	)
}

// reportType is STIX 2.1 §10.22.
func reportType() check {
	return openVocab("report-type-ov", "STIX 2.1 §10.22",
		"attack-pattern", "campaign", "identity", "incident", "indicator", "intrusion-set", "malware",
		"observed-data", "threat-actor", "threat-report", "tool", "vulnerability",
	)
}

// threatActorType is STIX 2.1 §10.23.
func threatActorType() check {
	return openVocab("threat-actor-type-ov", "STIX 2.1 §10.23",
		"activist", "competitor", "crime-syndicate", "criminal", "hacker", "insider-accidental",
		"insider-disgruntled", "nation-state", "private-sector", "sensationalist", "spy", "terrorist", "unknown",
	)
}

// threatActorRole is STIX 2.1 §10.24.
func threatActorRole() check {
	return openVocab("threat-actor-role-ov", "STIX 2.1 §10.24",
		"agent", "director", "independent", "infrastructure-architect", "infrastructure-operator",
		"malware-author", "sponsor",
	)
}

// threatActorSophistication is STIX 2.1 §10.25.
func threatActorSophistication() check {
	return openVocab("threat-actor-sophistication-ov", "STIX 2.1 §10.25",
		"none", "minimal", "intermediate", "advanced", "expert", "innovator", "strategic",
	)
}

// toolType is STIX 2.1 §10.26.
func toolType() check {
	return openVocab("tool-type-ov", "STIX 2.1 §10.26",
		"denial-of-service", "exploitation", "information-gathering", "network-capture", "credential-exploitation",
		"remote-access", "vulnerability-scanning", "unknown",
	)
}

// windowsIntegrityLevel is STIX 2.1 §10.27.
func windowsIntegrityLevel() check {
	return enum("windows-integrity-level-enum", "STIX 2.1 §10.27",
		"low", "medium", "high", "system",
	)
}

// windowsPebinaryType is STIX 2.1 §10.28.
func windowsPebinaryType() check {
	return openVocab("windows-pebinary-type-ov", "STIX 2.1 §10.28",
		"dll", "exe", "sys",
	)
}

// windowsRegistryDatatype is STIX 2.1 §10.29.
func windowsRegistryDatatype() check {
	return enum("windows-registry-datatype-enum", "STIX 2.1 §10.29",
		"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN",
		"REG_DWORD_LITTLE_ENDIAN", "REG_LINK", "REG_MULTI_SZ", "REG_RESOURCE_LIST",
		"REG_FULL_RESOURCE_DESCRIPTION", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD", "REG_INVALID_TYPE",
	)
}

// windowsServiceStartType is STIX 2.1 §10.30.
func windowsServiceStartType() check {
	return enum("windows-service-start-type-enum", "STIX 2.1 §10.30",
		"SERVICE_AUTO_START", "SERVICE_BOOT_START", "SERVICE_DEMAND_START", "SERVICE_DISABLED",
		"SERVICE_SYSTEM_ALERT",
	)
}

// windowsServiceType is STIX 2.1 §10.31.
func windowsServiceType() check {
	return enum("windows-service-type-enum", "STIX 2.1 §10.31",
		"SERVICE_KERNEL_DRIVER", "SERVICE_FILE_SYSTEM_DRIVER", "SERVICE_WIN32_OWN_PROCESS",
		"SERVICE_WIN32_SHARE_PROCESS",
	)
}

// windowsServiceStatus is STIX 2.1 §10.32.
func windowsServiceStatus() check {
	return enum("windows-service-status-enum", "STIX 2.1 §10.32",
		"SERVICE_CONTINUE_PENDING", "SERVICE_PAUSE_PENDING", "SERVICE_PAUSED", "SERVICE_RUNNING",
		"SERVICE_START_PENDING", "SERVICE_STOP_PENDING", "SERVICE_STOPPED",
	)
}
