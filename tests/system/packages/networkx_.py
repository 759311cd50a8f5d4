"""Shortest paths, components, centrality."""

import networkx as nx

graph = nx.Graph()
graph.add_weighted_edges_from([("A", "B", 4), ("B", "D", 2), ("A", "C", 3), ("C", "D", 4)])
print(nx.shortest_path(graph, "A", "D", weight="weight"))
print(sorted(nx.connected_components(nx.Graph([(1, 2), (3, 4)])), key=min))
print({node: round(value, 2) for node, value in nx.degree_centrality(graph).items()})
print(
    nx.is_isomorphic(nx.cycle_graph(4), graph),
    sorted(nx.maximal_independent_set(nx.path_graph(3), [0])),
)
