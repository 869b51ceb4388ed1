import Foundation

/// An object that is put together member by member.
struct ObjectTree {
    private struct Node {
        var name: ByteSlice
        var value: DocumentValue?
        var members: [Int] = []
    }

    /// A member by its name and the object that it is of.
    private struct Place: Hashable {
        var parent: Int
        var name: ByteSlice

        static func == (left: Place, right: Place) -> Bool {
            left.parent == right.parent && left.name.count == right.name.count
                && memcmp(left.name.start, right.name.start, left.name.count) == 0
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(parent)
            hasher.combine(bytes: UnsafeRawBufferPointer(name.buffer))
        }
    }

    private var nodes = [Node(name: ByteSlice(UnsafeBufferPointer(start: nil, count: 0)))]
    private var places: [Place: Int] = Dictionary(minimumCapacity: 48)

    /// Adds the member at a path.
    ///
    /// - Parameter unwraps: whether a list of one value is that value.
    mutating func add(_ path: [ByteSlice], _ value: DocumentValue, unwraps: Bool = true) {
        var node = 0
        for name in path {
            let place = Place(parent: node, name: name)
            if let known = places[place] {
                node = known
                continue
            }
            places[place] = nodes.count
            nodes[node].members.append(nodes.count)
            node = nodes.count
            nodes.append(Node(name: name))
        }
        var values = value.elements
        // These are lists in the event, too.
        let isList =
            path.last.map { $0.isText("sourceIPs") || $0.isText("groups") } ?? false || path.dropLast().contains { $0.isText("extra") }
        if unwraps, !isList, let only = values.next(), values.first == nil { nodes[node].value = only } else { nodes[node].value = value }
    }

    func hasMember(_ name: StaticString) -> Bool { nodes[0].members.contains { nodes[$0].name.isText(name) } }

    func append(_ node: Int = 0, to object: inout [UInt8]) {
        // Elasticsearch has some texts once more one level below.
        if let value = nodes[node].value { return AuditShape.append(value, to: &object) }
        let elements = elements(of: node)
        object.append(elements == nil ? UInt8(ascii: "{") : UInt8(ascii: "["))
        for (index, member) in (elements ?? nodes[node].members).enumerated() {
            if index > 0 { object.append(UInt8(ascii: ",")) }
            if elements == nil {
                object.append(UInt8(ascii: "\""))
                object += nodes[member].name.buffer
                object += "\":".utf8
            }
            append(member, to: &object)
        }
        object.append(elements == nil ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    }

    /// The members in the order of their names, when these are 0, 1, …
    private func elements(of node: Int) -> [Int]? {
        let members = nodes[node].members
        var elements = Array(repeating: -1, count: members.count)
        for member in members {
            guard let number = nodes[member].name.number, number < members.count, elements[number] < 0 else { return nil }
            elements[number] = member
        }
        return elements
    }
}
