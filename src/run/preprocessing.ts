import type { Dataset } from "../data/dataset.ts";
import type { Graph } from "../graph/graph.ts";
import { metadataKeys, type Preprocessing, readPreprocessing } from "../graph/metadata.ts";
import { preprocessingFor } from "../nets/preprocessing.ts";

/** How a model wants the images of a data set: what it carries in its metadata, else the default of its net and the data. */
export const preprocessingOf = (graph: Graph, dataset: Dataset): Preprocessing =>
  readPreprocessing(graph.metadata) ?? preprocessingFor(graph.metadata.get(metadataKeys.arch), dataset.name);
