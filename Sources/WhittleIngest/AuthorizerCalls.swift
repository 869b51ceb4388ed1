import WhittleModel

/// Chains of calls on `authorizer` in a CEL expression → checks (k8s.io/apiserver/pkg/cel/library/authz.go).
///
/// What is no literal in the chain itself counts as computed: variables, concatenations and the rest of CEL are not evaluated.
struct AuthorizerCalls {
    private static let longestExpression = 120

    private let text: CELText

    /// The checks of an expression in the order they are written.
    ///
    /// - Parameter check: a check of the policy of which nothing is known.
    static func checks(in expression: String, like check: PolicyCheck) -> [PolicyCheck] {
        // Most expressions ask nothing.
        guard holdsWord(expression) else { return [] }
        let calls = AuthorizerCalls(text: CELText(expression))
        return calls.text.tokens.indices.filter(calls.isAuthorizer).map { calls.check(from: $0, like: check) }
    }

    private static func holdsWord(_ expression: String) -> Bool {
        var expression = expression
        return expression.withUTF8 { $0.holds("authorizer") }
    }

    /// Whether the word is the variable, not a field of something or in an object that is built.
    private func isAuthorizer(_ token: Int) -> Bool {
        guard text.isIdentifier(token, "authorizer") else { return false }
        if text.isPunctuation(token - 1, ".") || text.isPunctuation(token - 1, "?") && text.isPunctuation(token - 2, ".") {
            // A leading dot names the variable from the root.
            return text.isPunctuation(token - 1, ".") && !isOperandEnd(token - 2)
        }
        let isMember = text.isPunctuation(token - 1, "{") || text.isPunctuation(token - 1, ",")
        return !(isMember && text.isPunctuation(token + 1, ":"))
    }

    private func isOperandEnd(_ token: Int) -> Bool {
        guard text.tokens.indices.contains(token) else { return false }
        guard case .punctuation = text.tokens[token].kind else { return true }
        return text.isPunctuation(token, ")") || text.isPunctuation(token, "]") || text.isPunctuation(token, "}")
    }

    /// What the chain has come to.
    private enum Receiver {
        case authorizer, group, resource, path
    }

    private func check(from start: Int, like check: PolicyCheck) -> PolicyCheck {
        var check = check
        var receiver = Receiver.authorizer
        var position = start + 1
        var isWhole = false
        while !isWhole, text.isPunctuation(position, ".") {
            if case .authorizer = receiver, check.subject == .requester, text.isIdentifier(position + 1, "requestResource") {
                (check.target, receiver) = (.request, .resource)
                position += 2
                continue
            }
            guard text.isPunctuation(position + 2, "("), let closing = text.tokens[position + 2].closing else { break }
            let first = position + 3
            let literal = closing == first + 1 ? text.literal(first) : nil
            func isCall(_ name: StaticString) -> Bool { text.isIdentifier(position + 1, name) }
            switch receiver {
            case .authorizer where isCall("serviceAccount"):
                // A string beside a comma and the bracket of the call is a whole argument, however long the other one is.
                check.subject = .serviceAccount(
                    namespace: text.isPunctuation(first + 1, ",") ? text.literal(first) : nil,
                    name: text.isPunctuation(closing - 2, ",") ? text.literal(closing - 1) : nil)
            case .authorizer where isCall("group"): (receiver, check.apiGroup, check.target) = (.group, literal, .resource)
            case .authorizer where isCall("path"): (receiver, check.path, check.target) = (.path, literal, .url)
            case .group where isCall("resource"):
                (receiver, check.resource) = (.resource, literal)
                (check.subresource, check.namespace, check.name) = ("", "", "")
            case .resource where isCall("subresource"): replace(&check, \.subresource, literal)
            case .resource where isCall("namespace"): replace(&check, \.namespace, literal)
            case .resource where isCall("name"): replace(&check, \.name, literal)
            // RBAC does not look at selectors.
            case .resource where isCall("fieldSelector") || isCall("labelSelector"): break
            case .resource where isCall("check"), .path where isCall("check"):
                check.verb = literal
                isWhole = true
            default:
                check.target = .computed
                position = closing + 1
                check.expression = written(start..<position)
                return check
            }
            position = closing + 1
        }
        if !isWhole {
            // The rest may be called on a variable, or be an argument.
            if case .resource = receiver { (check.subresource, check.namespace, check.name) = (nil, nil, nil) }
            if case .authorizer = receiver { check.target = .computed }
        }
        check.expression = written(start..<min(position, text.tokens.count))
        return check
    }

    /// Part of the request's own resource: what is replaced makes it another.
    private func replace(_ check: inout PolicyCheck, _ part: WritableKeyPath<PolicyCheck, String?>, _ literal: String?) {
        if check.target == .request { check.target = .computed }
        check[keyPath: part] = literal
    }

    /// The words on one line, without comments, cut when they are many.
    private func written(_ range: Range<Int>) -> String {
        var result = ""
        for token in range {
            let isApart = token > range.lowerBound && text.tokens[token - 1].range.upperBound < text.tokens[token].range.lowerBound
            let isTight =
                text.isPunctuation(token, ".") || text.isPunctuation(token, ")") || text.isPunctuation(token - 1, "(")
                || text.isPunctuation(token - 1, ".")
            if isApart, !isTight { result += " " }
            result.unicodeScalars += text.text(token).unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }
            if result.unicodeScalars.count > Self.longestExpression {
                return String(String.UnicodeScalarView(result.unicodeScalars.prefix(Self.longestExpression - 1))) + "…"
            }
        }
        return result
    }
}
