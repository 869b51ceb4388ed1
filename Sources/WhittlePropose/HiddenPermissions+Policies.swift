import WhittleModel

/// Permissions that admission policies and webhooks ask the authorizer about (semantics HID-9, HID-10).
extension HiddenPermissions {
    mutating func addPolicyChecks(_ checks: [PolicyCheck]) {
        guard !checks.isEmpty else { return }
        var done: Set<ByteString> = []
        let warned = warnings.count
        for check in checks {
            switch check.subject {
            case .requester:
                let writes = needs.filter { check.mayConcern($0.request, name: $0.name, versions: versions(of: $0)) }
                if !writes.isEmpty { add(check, at: writes, &done) }
            case .serviceAccount(let namespace, let name): addAccountCheck(check, namespace: namespace, name: name, &done)
            }
        }
        removeRepeatedWarnings(from: warned)
    }

    private func versions(of need: Need) -> [String] {
        resources.filter {
            $0.apiGroup.isSameBytes(as: need.request.apiGroup) && $0.resource.isSameBytes(as: need.request.combinedResource)
        }.map(\.version)
    }

    // MARK: About the requester

    private mutating func add(_ check: PolicyCheck, at writes: [Need], _ done: inout Set<ByteString>) {
        let reason = "\(Self.name(check)) \(question(check)) at \(Self.text(writes))"
        var missing: [Need] = []
        switch check.target {
        case .request:
            guard let verb = check.verb, Self.isLiteral(verb) else { return warnOfComputed(reason) }
            for (request, names) in Self.grouped(writes, verb: verb) {
                let atoms = heldAtoms(of: request, names: names)
                if atoms.isEmpty { missing.append(Need(request)) } else { addOnce(atoms, in: request.namespace, reason, &done) }
            }
        case .resource, .url, .parameter, .computed:
            guard let need = need(of: check) else { return warnOfComputed(reason) }
            if holds([need.atom], in: need.scope) { addOnce([need.atom], in: need.scope, reason, &done) } else { missing = [need] }
        }
        guard !missing.isEmpty else { return }
        let names = missing.prefix(3).map(Self.text).joined(separator: " and ")
        let more = missing.count > 3 ? " and \(missing.count - 3) more" : ""
        warn("\(reason): it may need \(names)\(more)\(current == nil ? "" : ", which it does not hold")")
    }

    /// The requests that a check about them makes of writes, without names, and the names; `nil` = a write without a known name.
    private static func grouped(_ writes: [Need], verb: String) -> [(request: Request, names: [String?])] {
        var places: [Request: Int] = [:]
        var groups: [(request: Request, names: [String?])] = []
        for write in writes {
            var request = write.request
            request.verb = verb
            if let place = places[request] {
                groups[place].names.append(write.name)
            } else {
                places[request] = groups.count
                groups.append((request, [write.name]))
            }
        }
        return groups
    }

    /// What is held of a check about requests with these names; empty when it is not enough for all of them.
    private func heldAtoms(of request: Request, names: [String?]) -> [RuleAtom] {
        let known = names.compactMap(\.self).uniqued().sorted(by: bytesPrecede)
        let unnamed = Need(request).atom
        // Objects come and go: several names, or made-up ones, are no fixed set. The name of an object that is created is not known.
        let isFixed =
            !names.contains(nil) && known.count < 3 && known.allSatisfy { GeneratedName.reason($0, owner: nil, siblings: known) == nil }
        if !isFixed, holds([unnamed], in: request.namespace) { return [unnamed] }
        guard !names.contains(nil) else {
            return heldAtoms(request.verb, request.apiGroup, request.combinedResource, in: request.namespace)
        }
        let atoms = known.map { name in
            var atom = unnamed
            atom.resourceName = name
            return atom
        }
        return holds(atoms, in: request.namespace) ? atoms : []
    }

    // MARK: About a service account

    /// Adds a check about the subject itself, whoever makes the request; its groups are then without `system:authenticated`.
    private mutating func addAccountCheck(_ check: PolicyCheck, namespace: String?, name: String?, _ done: inout Set<ByteString>) {
        guard let own = ServiceAccountName.split(user.name), namespace?.isSameBytes(as: own.namespace) ?? true,
            name?.isSameBytes(as: own.name) ?? true
        else { return }
        let reason = "\(Self.name(check)) \(question(check)), whoever makes the request"
        guard let need = need(of: check) else { return warnOfComputed(reason) }
        let account = UserInfo(name: user.name, groups: user.groups.filter { !$0.isSameBytes(as: ImplicitGroup.authenticated) })
        let isHeld = holds([need.atom], in: need.scope, by: account)
        guard namespace != nil, name != nil else {
            // What it does not hold it cannot lose.
            if isHeld { warn("\(reason), perhaps about this account: it may need \(Self.text(need))") }
            return
        }
        if isHeld {
            addOnce([need.atom], in: need.scope, reason, &done)
        } else {
            warn("\(reason): it may need \(Self.text(need))\(current == nil ? "" : ", which it does not hold")")
        }
    }

    // MARK: Shared parts

    /// What a check of literals asks for; `nil` when some of it is computed, or no rule gives it alone.
    private func need(of check: PolicyCheck) -> Need? {
        guard let verb = check.verb else { return nil }
        let need: Need
        switch check.target {
        case .resource:
            guard let apiGroup = check.apiGroup, let resource = check.resource, let subresource = check.subresource,
                let namespace = check.namespace, let name = check.name, !resource.isEmpty
            else { return nil }
            need = Need(
                Request(
                    verb: verb, apiGroup: apiGroup, resource: resource, subresource: subresource, namespace: namespace, name: name))
        case .url:
            guard let path = check.path, !path.isEmpty else { return nil }
            need = Need(Request(verb: verb, path: path))
        case .parameter:
            let known = resources.first {
                $0.apiGroup.isSameBytes(as: check.apiGroup ?? "") && $0.kind.isSameBytes(as: check.parameterKind ?? "")
                    && !$0.resource.contains("/")
            }
            guard let known else { return nil }
            need = Need(Request(verb: verb, apiGroup: known.apiGroup, resource: known.resource))
        case .request, .computed: return nil
        }
        return Self.isLiteral(verb) && need.isExpressible ? need : nil
    }

    private static func isLiteral(_ verb: String) -> Bool { !verb.isEmpty && !verb.isSameBytes(as: "*") }

    private static func name(_ check: PolicyCheck) -> String { "\(check.policyKind) `\(check.policyName)`" }

    private func question(_ check: PolicyCheck) -> String {
        check.target == .parameter ? "has a \(check.expression), which is checked" : "asks the authorizer `\(check.expression)`"
    }

    /// As `create deployments.apps` and 2 more.
    private static func text(_ writes: [Need]) -> String {
        let texts = writes.map { "`\($0.request.verb) \(targetText(resource: $0.atom.resource, apiGroup: $0.atom.apiGroup, url: nil))`" }
            .uniqued()
        return texts.prefix(2).joined(separator: " and ") + (texts.count > 2 ? " and \(texts.count - 2) more" : "")
    }

    /// As `use things.example.com` of `a` in `shop`.
    private static func text(_ need: Need) -> String {
        let atom = need.atom
        let target = targetText(resource: atom.resource, apiGroup: atom.apiGroup, url: atom.nonResourceURL)
        return "`\(atom.verb) \(target)`" + (need.name.map { " of `\($0)`" } ?? "") + (need.scope.isEmpty ? "" : " in `\(need.scope)`")
    }

    private mutating func warnOfComputed(_ reason: String) { warn("\(reason): what it may need there cannot be told") }

    /// A policy may ask the same in several expressions.
    private mutating func addOnce(_ atoms: [RuleAtom], in scope: String, _ reason: String, _ done: inout Set<ByteString>) {
        guard done.insert(ByteString("\(scope)\n\(atoms)\n\(reason)")).inserted else { return }
        add(atoms, in: scope, reason)
    }
}
